from adapters.datasets.media.kind import Kind
from adapters.datasets.media.medium import Medium
MEDIUM = Medium(kind=Kind("audio","clip","clips",frozenset({"wav"}),("clips",),"hold","x"),layouts=(),judges={},looks={},figures=lambda f:{},hint=lambda c:"")
