"""What the code must not do, each rule as a function from modules to the places that break it."""

import ast
import re
from collections.abc import Iterable, Iterator

from tests.law.tree import Module, calls, docstrings, dotted, functions, imports, length, where

# Imports run down this list only; rooms of one line know nothing of each other. `store` may know what an
# alert is (`notify`), since the outbox is a table. `config` is met in the engine and above it alone.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    ("cli", "dashboard"),
    ("engine",),
    ("store",),
    ("meta", "notify"),
    ("trades",),
    ("signals", "market"),
    ("config",),
    ("timeframe",),
    ("candles", "clock", "errors"),
)
RANK = {room: -depth for depth, line in enumerate(LAYERS) for room in line}
ABOVE_CONFIG = ("config", "engine", "cli", "dashboard")
NO_TRADES = ("notify",)  # words of alerts are made from rows, not from the lifecycle

# Rooms and files that compute and touch nothing, and all they may import beside numpy and each other.
PURE = ("core/signals/", "core/trades/", "core/meta/", "core/notify/messages.py", "core/notify/text.py",
        "core/notify/events.py", "core/notify/commands.py", "core/notify/phone.py", "core/notify/manner.py",
        "core/market/candle_gate.py", "core/market/generated.py", "core/engine/frontier.py", "core/candles.py",
        "core/errors.py", "core/dashboard/views/", "core/dashboard/theme.py", "core/dashboard/words.py")
NOT_PURE = ("core/meta/registry.py",)
HARMLESS = {"__future__", "bisect", "collections", "contextlib", "dataclasses", "decimal", "difflib", "enum",
            "fractions", "functools", "hashlib", "heapq", "html", "itertools", "json", "math", "numbers", "operator",
            "re", "statistics", "string", "textwrap", "types", "typing", "warnings", "zlib"}
PURE_IMPORTS = HARMLESS | {"numpy"}
MATHS = {"scipy", "sklearn", "xgboost"}  # in core/meta alone, and inside functions
# `datetime` only turns ms into a month or a clock time for display; the setups are found by pkgutil; of `sys`
# the gate takes float_info, and the model keeps scikit-learn and pandas out of xgboost's import.
EXTRA = {"core/market/candle_gate.py": {"sys"}, "core/meta/model.py": {"sys"},
         "core/trades/performance.py": {"datetime"}, "core/notify/text.py": {"datetime"},
         "core/notify/messages.py": {"datetime"}, "core/notify/events.py": {"datetime"},
         "core/signals/setups/__init__.py": {"importlib", "pkgutil"}}

# What the pages show is made without Streamlit, files and SQL.
VIEWS = ("core/dashboard/views/", "core/dashboard/theme.py", "core/dashboard/words.py")
VIEW_IMPORTS = {"datetime", "zoneinfo"}
NOT_FOR_VIEWS = ("core.store", "core.config.loader", "core.clock", "core.dashboard.app", "core.dashboard.parts",
                 "core.dashboard.reading", "core.dashboard.pages", "core.market.exchange")
# Packages that take long to load: at the top of a file in the dashboard alone, elsewhere inside functions.
SHOWN_BY = {"streamlit", "pandas"}
LOADED_BY = {"core/notify/api.py": {"telegram"}, "core/notify/telegram.py": {"telegram"}}  # met in the daemon alone
HEAVY = SHOWN_BY | {"xgboost", "sklearn", "scipy", "streamlit_echarts", "telegram", "PIL", "ccxt", "pyarrow", "numba",
                    "aiohttp"}

BROAD_PLACES = ("core/engine/tick.py", "core/engine/isolate.py", "core/notify/delivery.py")
CLOCK = "core/clock.py"

HARMFUL_IMPORTS = {"pickle", "cPickle", "_pickle", "joblib", "dill", "cloudpickle", "marshal", "shelve", "jsonpickle",
                   "skops"}
SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE INTO|CREATE|DROP|ALTER|PRAGMA|VACUUM|ATTACH|WITH|BEGIN|"
                 r"COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b")
SQL_CALLS = ("execute", "executemany", "executescript")

LONGEST_FUNCTION, LONGEST_FILE = 60, 450


# Who may import whom


def wrong_direction(found: Iterable[Module]) -> Iterator[str]:
    """Imports that do not run down LAYERS, and rooms that have no place there."""
    for m in found:
        if m.name == "core":
            continue
        for node, name in imports(m):
            if name.split(".")[0] != "core" or name == "core":
                continue
            room = name.split(".")[1]
            why = _not_allowed(m.room, room)
            if why:
                yield f"{where(m, node)}: {m.room} imports {room}: {why}"


def _not_allowed(above: str, below: str) -> str:
    if above not in RANK or below not in RANK:
        return "a room without a place in LAYERS"
    if above == below:
        return ""
    if below == "config" and above not in (*ABOVE_CONFIG, "__main__"):
        return "the configuration stops at the engine"
    if above in NO_TRADES and below in ("trades", "signals", "market"):
        return "alerts are made from rows"
    return "" if RANK[above] > RANK[below] else "imports run down only"


def reaching_views(found: Iterable[Module]) -> Iterator[str]:
    """What the pages show must be told, not fetched: imports of the store, of Streamlit's side and of the clock.

    Classes of the store are fine: they say what its rows look like.
    """
    for m in found:
        if m.path.startswith(VIEWS):
            for node, name in imports(m):
                names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
                if name.startswith("core.store.") and names and all(n[0].isupper() for n in names):
                    continue
                taken = [f"{name}.{n}" for n in names]
                if any(f"{full}.".startswith(f"{room}.") for full in (name, *taken) for room in NOT_FOR_VIEWS):
                    yield f"{where(m, node)}: imports {name}"


def heavy_at_the_top(found: Iterable[Module]) -> Iterator[str]:
    """Heavy packages imported when a file is loaded; and Streamlit anywhere outside of the dashboard."""
    for m in found:
        shows = m.path.startswith("core/dashboard/")
        inside = {id(node) for f in functions(m) for node in ast.walk(f)}
        for node, name in imports(m):
            top = name.split(".")[0]
            late = id(node) in inside and (shows or not top.startswith("streamlit"))
            if top in HEAVY and not late and not (shows and top in SHOWN_BY) and top not in LOADED_BY.get(m.path, ()):
                yield f"{where(m, node)}: imports {name}"


def inner_imports(found: Iterable[Module]) -> Iterator[str]:
    """Imports of our own package inside a function."""
    for m in found:
        inside = {id(node) for f in functions(m) for node in ast.walk(f)}
        for node, name in imports(m):
            if id(node) in inside and name.split(".")[0] == "core":
                yield f"{where(m, node)}: imports {name} inside a function"


def cycles(found: Iterable[Module]) -> list[str]:
    """Rooms that import each other, as `a -> b -> a`."""
    below: dict[str, set[str]] = {}
    for m in found:
        own = {name.split(".")[1] for _, name in imports(m) if name.startswith("core.")}
        below.setdefault(m.room, set()).update(own - {m.room})
    knots: list[str] = []

    def visit(room: str, path: tuple[str, ...]) -> None:
        if room in path:
            knots.append(" -> ".join([*path[path.index(room):], room]))
            return
        for other in sorted(below.pop(room, ())):
            visit(other, (*path, room))

    for room in sorted(below):
        visit(room, ())
    return knots


# Pure rooms, the clock, chance


def is_pure(path: str) -> bool:
    """Whether a file belongs to a pure room."""
    return path.startswith(PURE) and path not in NOT_PURE


def impure(found: Iterable[Module]) -> Iterator[str]:
    """In pure rooms: imports of anything that could reach a file, a socket, SQL or the clock, and such calls."""
    for m in found:
        if not is_pure(m.path):
            continue
        for node, name in imports(m):
            top = name.split(".")[0]
            allowed = top in PURE_IMPORTS or top in EXTRA.get(m.path, ()) or (top in MATHS and "/meta/" in m.path)
            allowed = allowed or (m.path.startswith(VIEWS) and top in VIEW_IMPORTS)
            if top != "core" and not allowed:
                yield f"{where(m, node)}: a pure room imports {name}"
        for call, name in calls(m):
            if name in ("open", "print", "input", "breakpoint", "__import__") or name.startswith(
                    ("np.load", "np.save", "np.fromfile", "np.memmap", "np.genfromtxt", "np.loadtxt")):
                yield f"{where(m, call)}: a pure room calls {name}"


_NOW = re.compile(r"(^|\.)(datetime|date)\.(now|today|utcnow)$")
_OS_CHANCE = re.compile(r"^(os\.urandom|uuid\.uuid[14]|secrets\..+)$")
_MODULE_CHANCE = re.compile(r"^(random\.(?!Random$|SystemRandom$)\w+|(np|numpy)\.random\.(?!default_rng$|Generator$|"
                            r"SeedSequence$|PCG64$|Philox$)\w+)$")


def clock_and_chance(found: Iterable[Module]) -> Iterator[str]:
    """Outside core/clock.py: the machine's time, sleeping, and chance without a seed."""
    for m in found:
        if m.path == CLOCK:
            continue
        for node, name in imports(m):
            if name in ("time", "secrets", "uuid"):
                yield f"{where(m, node)}: imports {name}"
        for call, name in calls(m):
            seeded = bool(call.args or call.keywords)
            bare = name.rpartition(".")[2] in ("Random", "default_rng") and not seeded
            if _NOW.search(name) or _OS_CHANCE.match(name) or _MODULE_CHANCE.match(name) or bare:
                yield f"{where(m, call)}: calls {name}"
            if name.endswith("SystemRandom"):
                yield f"{where(m, call)}: calls {name}"
            if name in ("time.time", "time.sleep", "time.monotonic", "time.time_ns", "time.perf_counter"):
                yield f"{where(m, call)}: calls {name}"


# Errors, SQL, harm


def broad_handlers(found: Iterable[Module]) -> Iterator[str]:
    """Handlers that could swallow any error. One that ends by raising it again swallows nothing."""
    for m in found:
        for node in ast.walk(m.tree):
            if isinstance(node, ast.ExceptHandler) and _broad(node.type) and not _raises_again(node):
                yield where(m, node)
            if isinstance(node, ast.Call) and dotted(node.func).endswith("suppress") and any(map(_broad, node.args)):
                yield where(m, node)


def _broad(kind: ast.expr | None) -> bool:
    if isinstance(kind, ast.Tuple):
        return any(map(_broad, kind.elts))
    return kind is None or dotted(kind) in ("Exception", "BaseException", "builtins.Exception")


def _raises_again(node: ast.ExceptHandler) -> bool:
    last = node.body[-1]
    leaves = any(isinstance(n, (ast.Return, ast.Continue, ast.Break)) for n in ast.walk(node))
    return isinstance(last, ast.Raise) and last.exc is None and not leaves


def sql_text(found: Iterable[Module]) -> Iterator[str]:
    """Outside core/store: text that is SQL, and calls that run it."""
    for m in found:
        if m.path.startswith("core/store/"):
            continue
        prose = docstrings(m)
        for node in ast.walk(m.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose \
                    and SQL.match(node.value):
                yield f"{where(m, node)}: {node.value.strip()[:40]!r}"
        for call, name in calls(m):
            if ("." in name and name.rpartition(".")[2] in SQL_CALLS) or name == "sqlite3.connect":
                yield f"{where(m, call)}: calls {name}"


def harmful(found: Iterable[Module]) -> Iterator[str]:
    """What can run code hidden in data: pickles, eval, exec, unsafe YAML, a shell."""
    for m in found:
        for node, name in imports(m):
            if name.split(".")[0] in HARMFUL_IMPORTS:
                yield f"{where(m, node)}: imports {name}"
        for call, name in calls(m):
            shell = any(k.arg in ("shell", "allow_pickle") and not _false(k.value) for k in call.keywords)
            if shell or name in ("eval", "exec", "os.system", "os.popen", "pickle.loads", "pickle.load") or name in (
                    "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load"):
                yield f"{where(m, call)}: calls {name}"


def _false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


# Style


def too_long(found: Iterable[Module]) -> Iterator[str]:
    """Functions and files beyond the caps."""
    for m in found:
        lines = len(m.text.splitlines())
        if lines > LONGEST_FILE:
            yield f"{m.path}: {lines} lines, at most {LONGEST_FILE}"
        for f in functions(m):
            if length(f) > LONGEST_FUNCTION:
                yield f"{where(m, f)}: {f.name} has {length(f)} lines, at most {LONGEST_FUNCTION}"


def unannotated(found: Iterable[Module]) -> Iterator[str]:
    """Functions with a parameter or a result that has no annotation."""
    for m in found:
        for f in functions(m):
            named = [*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs]
            named += [a for a in (f.args.vararg, f.args.kwarg) if a is not None]
            bare = [a.arg for a in named if a.annotation is None and a.arg not in ("self", "cls")]
            if bare or f.returns is None:
                yield f"{where(m, f)}: {f.name} ({', '.join(bare) or 'its result'})"


def public(m: Module) -> Iterator[tuple[str, ast.AST, str | None]]:
    """The module, its public classes and functions, and the public methods of those, with their docstrings.

    Left out: what implements a method written down elsewhere (dunders, protocol stubs `...`, overrides of
    the standard library's names in camel case).
    """
    yield m.path, m.tree, ast.get_docstring(m.tree)
    for node in m.tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
            yield f"{where(m, node)}: {node.name}", node, ast.get_docstring(node)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield f"{where(m, node)}: {node.name}", node, ast.get_docstring(node)
            for item in node.body:
                if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)) and not item.name.startswith("_") \
                        and not _stub(item):
                    yield f"{where(m, item)}: {node.name}.{item.name}", item, ast.get_docstring(item)


def _stub(f: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return all(isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) and s.value.value is ... for s in f.body)
