"""Checkpoints of real size with random weights, in the layouts that models are published in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LABELS = {place: f"class {place}" for place in range(1000)}


@dataclass(frozen=True)
class Checkpoint:
    """What the import job is told, and how the folder is written."""

    task: str
    write: Callable[[Path], None]


def _vgg16(folder: Path) -> None:
    from safetensors.torch import save_file

    from adapters.training.architectures.vgg import VARIANTS, VGG

    save_file(VGG(VARIANTS["vgg16"], 1000).state_dict(), str(folder / "model.safetensors"))
    prepared = {"input_size": [3, 224, 224], "interpolation": "bilinear", "crop_pct": 0.875}
    prepared |= {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    config = {"architecture": "vgg16", "num_classes": 1000, "pretrained_cfg": prepared}
    config["label_names"] = list(LABELS.values())
    (folder / "config.json").write_text(json.dumps(config))


def _resnet50(folder: Path) -> None:
    from transformers import ResNetConfig, ResNetForImageClassification

    ResNetForImageClassification(ResNetConfig(id2label=LABELS)).save_pretrained(folder)
    prepared = _picture("ConvNextImageProcessor", size={"shortest_edge": 224}, crop_pct=0.875, resample=3)
    prepared |= {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    (folder / "preprocessor_config.json").write_text(json.dumps(prepared))


def _vit(folder: Path) -> None:
    from transformers import ViTConfig, ViTForImageClassification

    ViTForImageClassification(ViTConfig(id2label=LABELS)).save_pretrained(folder)
    prepared = _picture("ViTImageProcessor", size={"height": 224, "width": 224}, resample=2)
    prepared |= {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    (folder / "preprocessor_config.json").write_text(json.dumps(prepared))


def _picture(processor: str, **settings: Any) -> dict[str, Any]:
    switches = {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
    return {"image_processor_type": processor, **switches, **settings}


def _wav2vec2(folder: Path) -> None:
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

    Wav2Vec2ForSequenceClassification(Wav2Vec2Config(id2label=LABELS)).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)


def _whisper(folder: Path) -> None:
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    sizes: dict[str, Any] = {"d_model": 512, "encoder_layers": 6, "decoder_layers": 6}
    sizes |= {"encoder_attention_heads": 8, "decoder_attention_heads": 8}
    sizes |= {"encoder_ffn_dim": 2048, "decoder_ffn_dim": 2048, "vocab_size": 51_865}
    WhisperForConditionalGeneration(WhisperConfig(**sizes)).save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)
    _tokenizer(folder / "tokenizer.json", words=50_257)


def _tokenizer(path: Path, *, words: int) -> None:
    """As many tokens as Whisper has, the special ones in its order behind the words."""
    from tokenizers import Tokenizer, decoders
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    vocabulary = [*letters, *(f"word {place}" for place in range(words - len(letters)))]
    made = Tokenizer(BPE({token: place for place, token in enumerate(vocabulary)}, []))
    made.pre_tokenizer, made.decoder = ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    names = ["endoftext", "startoftranscript", "en", "de", "translate", "transcribe", "startofprev", "nospeech"]
    made.add_special_tokens([f"<|{name}|>" for name in [*names, "notimestamps"]])
    made.save(str(path))


def _recogniser(name: str) -> Callable[[Path], None]:
    """A recogniser of the base size that writes letters: ``Wav2Vec2`` or ``Hubert``."""

    def write(folder: Path) -> None:
        import transformers

        letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"]
        config = getattr(transformers, f"{name}Config")(vocab_size=len(letters))
        getattr(transformers, f"{name}ForCTC")(config).save_pretrained(folder)
        transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
        (folder / "letters.json").write_text(json.dumps({letter: place for place, letter in enumerate(letters)}))
        transformers.Wav2Vec2CTCTokenizer(str(folder / "letters.json")).save_pretrained(folder)

    return write


def _bert(folder: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    config = BertConfig()
    BertForMaskedLM(config).save_pretrained(folder)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = [*special, *(f"word{place}" for place in range(config.vocab_size - len(special)))]
    made = Tokenizer(WordPiece({token: place for place, token in enumerate(vocabulary)}, unk_token="[UNK]"))
    made.pre_tokenizer = BertPreTokenizer()
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=512, **names).save_pretrained(folder)


def _marian(folder: Path) -> None:
    """As large as the translators of OPUS-MT."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
    from tokenizers.models import Unigram
    from transformers import MarianConfig, MarianMTModel

    words = 58_100
    pieces = [("</s>", 0.0), ("<unk>", 0.0), *((f"▁word{place}", -10.0) for place in range(words - 2)), ("<pad>", 0.0)]
    pad = len(pieces) - 1
    sizes: dict[str, Any] = {"encoder_layers": 6, "decoder_layers": 6, "d_model": 512}
    sizes |= {"encoder_attention_heads": 8, "decoder_attention_heads": 8}
    sizes |= {"encoder_ffn_dim": 2048, "decoder_ffn_dim": 2048, "max_position_embeddings": 512}
    sizes |= {"pad_token_id": pad, "eos_token_id": 0, "forced_eos_token_id": 0, "decoder_start_token_id": pad}
    MarianMTModel(MarianConfig(vocab_size=len(pieces), **sizes)).save_pretrained(folder)
    made = Tokenizer(Unigram(pieces, unk_id=1))
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    made.add_special_tokens(["</s>", "<unk>", "<pad>"])
    end = [("</s>", 0)]
    made.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A $B </s>", special_tokens=end)
    made.save(str(folder / "tokenizer.json"))
    names = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps({**names, "source_lang": "en", "target_lang": "de"}))


def _bart(folder: Path) -> None:
    """As large as BART-base."""
    from tokenizers import Tokenizer, decoders, processors
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import BartConfig, BartForConditionalGeneration

    config = BartConfig(
        encoder_layers=6,
        decoder_layers=6,
        d_model=768,
        encoder_attention_heads=12,
        decoder_attention_heads=12,
        encoder_ffn_dim=3072,
        decoder_ffn_dim=3072,
    )
    BartForConditionalGeneration(config).save_pretrained(folder)
    special, letters = ["<s>", "<pad>", "</s>", "<unk>"], sorted(ByteLevel.alphabet())
    words = (f"word {place}" for place in range(config.vocab_size - len(special) - len(letters)))
    vocabulary = [*special, *letters, *words]
    made = Tokenizer(BPE({token: place for place, token in enumerate(vocabulary)}, [], unk_token="<unk>"))
    made.pre_tokenizer, made.decoder = ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made.add_special_tokens(special)
    ends = [("<s>", 0), ("</s>", 2)]
    pair = "<s> $A </s> </s> $B </s>"
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair=pair, special_tokens=ends)
    made.save(str(folder / "tokenizer.json"))
    names = {"tokenizer_class": "BartTokenizer", "model_max_length": 1024}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))


CHECKPOINTS = {
    "resnet50": Checkpoint("image-classification", _resnet50),
    "vgg16": Checkpoint("image-classification", _vgg16),
    "vit-base": Checkpoint("image-classification", _vit),
    "wav2vec2-base": Checkpoint("audio-classification", _wav2vec2),
    "wav2vec2-base-ctc": Checkpoint("automatic-speech-recognition", _recogniser("Wav2Vec2")),
    "hubert-base-ctc": Checkpoint("automatic-speech-recognition", _recogniser("Hubert")),
    "whisper-base": Checkpoint("automatic-speech-recognition", _whisper),
    "bert-base": Checkpoint("fill-mask", _bert),
    "marian": Checkpoint("translation", _marian),
    "bart-base": Checkpoint("summarization", _bart),
}
