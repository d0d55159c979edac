"""Training a translator, from nothing or from one of the other direction: its pieces, its network and the loop.

A Marian with many layers that read and few that write, since only the latter run once for each token (Kasai et al.,
"Deep Encoder, Shallow Decoder", 2021), one vocabulary of pieces for both languages, and one table for what is read,
written and told apart.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from tokenizers.trainers import UnigramTrainer
from torch import Tensor, nn
from torch.nn import functional
from transformers import MarianConfig, MarianMTModel

from adapters.training.features import by_length
from adapters.training.precision import training

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
ATTENTION = "eager"  # rows are short: with the fused kernels a step took 1.3 times as long on a CPU
WINDOW = 64  # batches whose pairs are sorted by length together


@dataclass(frozen=True)
class Pair:
    """Token ids of both sides, the end included."""

    source: list[int]
    target: list[int]

    @property
    def length(self) -> int:
        """Of the longer side."""
        return max(len(self.source), len(self.target))


@dataclass(frozen=True)
class Run:
    """Every number of a run; ``batch`` is tokens of the longer side with filling, ``average`` the decay of the mean."""

    pieces: int = 6000
    width: int = 192
    reading: int = 5
    writing: int = 2
    heads: int = 6
    inner: int = 768
    places: int = 128
    dropout: float = 0.1
    smoothing: float = 0.1
    epochs: int = 8
    batch: int = 1024
    rate: float = 1.2e-3
    warm_up: int = 1200
    average: float = 0.999
    beams: int = 4
    seed: int = 0


# From the weights of the other direction, which know both languages' pieces already (Kocmi and Bojar, "Trivial Transfer
# Learning for Low-Resource Neural Machine Translation", 2018): after five minutes of one core a token of the validation
# part cost 2.74, from random weights with dropout 3.84. A few epochs do not need dropout: 1.34 there and 1.05 on what
# was learnt from after four.
BEGUN = Run(dropout=0.0, epochs=6, warm_up=300)


def learn_pieces(texts: Sequence[str], count: int) -> Tokenizer:
    """A unigram vocabulary for both languages (Kudo, "Subword Regularization", 2018)."""
    made = Tokenizer(Unigram())
    made.normalizer = normalizers.Sequence([
        normalizers.NFKC(), normalizers.Strip(), normalizers.Replace(Regex(r"\s+"), " ")
    ])  # fmt: skip
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    special = [PAD, END, UNKNOWN]
    trainer = UnigramTrainer(vocab_size=count, special_tokens=special, unk_token=UNKNOWN, show_progress=False)
    made.train_from_iterator(texts, trainer)
    made.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", pair=f"$A $B {END}", special_tokens=[(END, special.index(END))]
    )
    return made


def encoded(tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]], run: Run) -> list[Pair]:
    """Token ids; pairs that the network cannot read or write whole are left out."""
    sides = [[one.ids for one in tokenizer.encode_batch([pair[side] for pair in pairs])] for side in (0, 1)]
    return [pair for pair in map(Pair, *sides) if pair.length < run.places]


def begun(folder: Path, run: Run) -> MarianMTModel:
    """With the weights of a starter."""
    model = MarianMTModel.from_pretrained(
        folder, dropout=run.dropout, dtype=torch.float32, attn_implementation=ATTENTION
    )
    for side in (model.model.encoder, model.model.decoder):
        side.embed_positions.requires_grad_(requires_grad=False)  # computed, and so not written down: must stay
    return model


def network(run: Run, tokenizer: Tokenizer) -> MarianMTModel:
    """With random weights: its table by its width, others as Glorot and Bengio have them."""
    pad, end = tokenizer.token_to_id(PAD), tokenizer.token_to_id(END)
    config = MarianConfig(
        vocab_size=tokenizer.get_vocab_size(),
        d_model=run.width,
        encoder_layers=run.reading,
        decoder_layers=run.writing,
        encoder_attention_heads=run.heads,
        decoder_attention_heads=run.heads,
        encoder_ffn_dim=run.inner,
        decoder_ffn_dim=run.inner,
        max_position_embeddings=run.places,
        activation_function="relu",
        scale_embedding=True,
        dropout=run.dropout,
        attention_dropout=0.0,
        activation_dropout=0.0,
        pad_token_id=pad,
        eos_token_id=end,
        bos_token_id=None,
        decoder_start_token_id=pad,
        forced_eos_token_id=end,
        attn_implementation=ATTENTION,
    )
    model = MarianMTModel(config)
    for name, weight in model.named_parameters():
        if name.endswith("shared.weight"):
            nn.init.normal_(weight, std=run.width**-0.5)
        elif weight.dim() > 1 and weight.requires_grad and "embed" not in name:
            nn.init.xavier_uniform_(weight)
    return model


def train(
    pairs: Sequence[Pair],
    tokenizer: Tokenizer,
    run: Run,
    state: Path,
    begin: Path | None = None,
    say: Callable[[str], None] = print,
) -> MarianMTModel:
    """Adam with warm-up and half a cosine; returns the running mean of the weights. ``begin``: a folder to begin from.

    ``state`` is written after each epoch: a run that is cut off and started again goes on behind the last whole epoch.
    """
    torch.manual_seed(run.seed)
    model = begun(begin, run) if begin else network(run, tokenizer)
    pad = int(model.config.pad_token_id)
    optimiser = torch.optim.AdamW(
        (weight for weight in model.parameters() if weight.requires_grad),
        betas=(0.9, 0.98),
        weight_decay=0.01,
        fused=True,
    )
    average = torch.optim.swa_utils.get_ema_multi_avg_fn(run.average)  # type: ignore[no-untyped-call]
    mean = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=average)
    total = run.epochs * len(list(_batches(pairs, run, 0)))
    first, step = _restore(state, model, optimiser, mean)
    for epoch in range(first, run.epochs):
        torch.manual_seed(run.seed * 1009 + epoch)  # of the dropout: a run that was cut off draws the same
        model.train()
        started, sums, count = time.monotonic(), 0.0, 0
        for batch in _batches(pairs, run, epoch):
            for group in optimiser.param_groups:
                group["lr"] = run.rate * schedule(step, total, run.warm_up)
            loss, tokens = _loss(model, batch, pad, run.smoothing)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            mean.update_parameters(model)
            step, sums, count = step + 1, sums + float(loss.detach()) * tokens, count + tokens
        spent = time.monotonic() - started
        say(f"epoch {epoch + 1} of {run.epochs}: loss {sums / count:.4f}, {spent:.0f} s")
        _save(state, model, optimiser, mean, (epoch + 1, step))
    model.load_state_dict(mean.module.state_dict())
    return model.eval()


def schedule(step: int, total: int, warm_up: int) -> float:
    """Linear up, then half a cosine down to zero."""
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / max(1, total - warm_up))))


def _loss(model: MarianMTModel, batch: Sequence[Pair], pad: int, smoothing: float) -> tuple[Tensor, int]:
    """Mean over the tokens that are to be written, and their number."""
    source = _filled([pair.source for pair in batch], pad)
    target = _filled([pair.target for pair in batch], pad)
    before = torch.cat([torch.full((len(batch), 1), pad), target[:, :-1]], dim=1)
    wanted = target != pad
    with training():
        states = model.model(input_ids=source, attention_mask=source != pad, decoder_input_ids=before)
        logits = functional.linear(states.last_hidden_state[wanted], model.lm_head.weight, model.final_logits_bias[0])
    loss = functional.cross_entropy(logits.float(), target[wanted], label_smoothing=smoothing)
    return loss, int(wanted.sum())


def _filled(rows: Sequence[list[int]], pad: int) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows])


def _batches(pairs: Sequence[Pair], run: Run, epoch: int) -> Iterator[list[Pair]]:
    """Shuffled, sorted by length within windows, as many pairs as a batch has room for."""
    generator = torch.Generator().manual_seed(run.seed * 1009 + epoch)
    order = torch.randperm(len(pairs), generator=generator).tolist()
    found: list[list[Pair]] = []
    span = WINDOW * max(1, run.batch // 16)
    for start in range(0, len(order), span):
        window = [pairs[place] for place in order[start : start + span]]
        found += [[window[place] for place in places] for places in by_length(window, cost=run.batch)]
    yield from (found[place] for place in torch.randperm(len(found), generator=generator).tolist())


def _save(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, mean: nn.Module, at: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "mean": mean.state_dict(), "at": at}
    torch.save(state, temporary)
    temporary.rename(path)


def _restore(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, mean: nn.Module) -> tuple[int, int]:
    """The numbers of whole epochs and of steps done."""
    if not path.is_file():
        return 0, 0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    mean.load_state_dict(state["mean"])
    epoch, step = state["at"]
    return int(epoch), int(step)
