"""What YAML 1.1, editors and accidents do to a file, and that each ends in a line a user can act on."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.config import Config, load, loads, yamltext
from core.errors import ConfigError
from tests.config import toys
from tests.config.toys import SETUPS, mistakes, refusal


def equity(text):
    return toys.load(f"risk: {{equity_usd: {text}}}").risk.equity_usd


@pytest.mark.parametrize(("written", "value"), [
    ("1e-3", 0.001), ("1E3", 1000.0), ("1.0e-3", 0.001), (".5", 0.5), ("5.", 5.0), ("+5", 5.0), ("010", 10.0),
])
def test_numbers_mean_what_they_look_like(written, value):
    assert equity(written) == value
    assert isinstance(equity(written), float)


def test_a_leading_zero_is_not_octal():
    assert toys.load("incremental: {overlap_candles: 010}").incremental.overlap_candles == 10


def test_minus_zero_is_zero():
    config = toys.load("models: {meta: {min_ev_pct: -0.0}}")
    assert str(config.models.meta.min_ev_pct) == "0.0"


@pytest.mark.parametrize("written", ["12:30", "1:30:00", "0x1F", "0o17", "1_0", "1e999",
                                     ".inf", "-.INF", ".NaN", "\u0661"])
def test_numbers_in_disguise_are_refused(written):
    assert f"risk.equity_usd: must be a number above 0, at most 1e+12, not {written}" in refusal(
        f"risk: {{equity_usd: {written}}}")


@pytest.mark.parametrize("word", ["ON", "NO", "Y", "OFF", "yes", "n", "NULLS", "1e", "e5"])
def test_words_that_yaml_1_1_turns_into_booleans_stay_texts(word):
    assert toys.load(f"app: {{data_dir: {word}}}").app.data_dir == word
    assert toys.load(f"symbols: [{word.upper()}/USDT:USDT]").symbols == (f"{word.upper()}/USDT:USDT",)


def test_a_chat_id_keeps_its_digits_and_sign():
    assert toys.load("notify: {telegram: {chat_id: -1001234567890}}").notify.telegram.chat_id == "-1001234567890"
    assert toys.load("notify: {telegram: {chat_id: 0123}}").notify.telegram.chat_id == "0123"


@pytest.mark.parametrize(("text", "line", "part"), [
    ("", 1, "the file is empty"), ("\n\n# only a comment\n", 1, "the file is empty"), ("null", 1, "the file is empty"),
    ("- a\n", 1, "not a list"), ("app\n", 1, "not one value"), ("app:{}\n", 1, "a colon needs a space after it"),
    ("app:\n\tdata_dir: x\n", 2, "a tab in the indentation"), ("risk: {}\n\tx: 1\n", 2, "a tab in the indentation"),
    ("app: {}\nrisk:\t{}\n", 2, "a tab where a value should start"),
    ("risk: {}\n“app”: {}\n", 2, "curly quotation marks"), ("risk: {}\napp: {data_dir: “x”}\n", 2, "curly quotation"),
    ("symbols: ['A/USDT:USDT', ‘B/USDT:USDT’]", 1, "symbols[1]: curly quotation"),
    ("risk: {}\napp:\u00a0{}\n", 2, "without a colon and a space"), ("risk: {}\nap\u200bp: {}\n", 2, "invisible"),
    ("app:\n  data_dir: x\n db_path: y\n", 3, "does not line up with the section begun in line 1"),
    ("app: {data_dir: a: b}\n", 1, "not YAML"), ("app:\n  data_dir: a: b\n", 2, "a second `: ` on this line"),
    ("app: {\n", 2, "not YAML"), ("app: {data_dir: 'x\n", 2, "not YAML"), ("app\nrisk: {}\n", 2, "without its colon"),
    ("app: {}\n---\nrisk: {}\n", 2, "a second document"), ("app: @x\n", 1, "not YAML"),
    ("app: &a {}\n", 1, "an anchor (&) is not allowed"), ("risk: {}\napp: *a\n", 2, "an alias (*) is not allowed"),
    ("app: !!python/object/apply:os.system [x]\n", 1, "a tag (!) is not allowed"), ("app: !x {}\n", 1, "a tag (!)"),
    ("<<: {app: {}}\n", 1, "<<: unknown key"), ("? [a]\n: b\n", 1, "not a plain name"),
    ("{{a: b}: c}", 1, "not a plain"),
    ('risk: {}\napp: {data_dir: "\\UFFFFFFFF"}\n', 2, "impossible character"),
    ('app: {data_dir: "\\ud800"}\n', 1, "impossible character"), ("app: {}\nx\x00: 1\n", 2, "does not allow"),
    ("[" * 3000, 1, "nested too deeply"), ("%YAML 3.0\n---\napp: {}\n", 1, "not YAML"),
])
def test_a_broken_file_is_refused_with_the_line(text, line, part):
    message = refusal(text).splitlines()[-1]
    assert message.startswith(f"toy.yaml, line {line}: ")
    assert part in message
    assert len(message) < 400


def test_windows_line_ends_and_a_byte_order_mark_are_fine(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbfrisk:\r\n  max_leverage: 7\r\n")
    assert load(path, SETUPS, {}).risk.max_leverage == 7


@pytest.mark.parametrize(("data", "part"), [
    (b"risk: {}\napp: {data_dir: \xe9}\n", "line 2: not UTF-8 text; save the file as UTF-8"),
    ("risk: {}\n".encode("utf-16"), "line 1: not UTF-8"), (b"#" * 1_000_001, "larger than 1000000 bytes"),
])
def test_bytes_that_are_not_a_configuration_are_refused(tmp_path, data, part):
    path = tmp_path / "c.yaml"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load(path, SETUPS, {})
    assert str(caught.value).startswith(str(path)) and part in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        load(tmp_path / "none.yaml", SETUPS, {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, SETUPS, {})


def test_a_key_on_line_300_is_named_with_that_line():
    assert mistakes("\n" * 298 + "risk:\n  mod: normal\n")[0].startswith("toy.yaml, line 300: risk.mod: unknown key")


PIECES = st.sampled_from(
    ["app", "risk", "symbols", "signals", "setups", "beta", "mode", "models", "meta", "per_pair_tf", "per_regime", ":",
     ": ", "\n", "\n  ", "\n    ", "{", "}", "[", "]", ", ", "- ", "'", '"', "#", "\t", "&a", "*a", "!", "?", "|", ">",
     "A/USDT:USDT", "1h", "5", "1e-3", "true", "null", "“", "\u00a0", "\x00", "\ud800", "%YAML", "---", "...", "<<"])


@given(st.lists(PIECES, max_size=40).map("".join))
@example("app: |\n  x\n\ty")
@example("? \n")
def test_any_text_is_taken_or_refused_with_a_line(text):
    try:
        assert isinstance(loads(text, SETUPS, {}, "f"), Config)
    except ConfigError as error:
        assert all(line.startswith("f, line ") or line.endswith("mistakes:") for line in str(error).splitlines())


@given(st.binary(max_size=60))
def test_any_bytes_are_taken_or_refused(data):
    try:
        loads(yamltext.decode(data, "f"), SETUPS, {}, "f")
    except ConfigError as error:
        assert str(error).startswith("f")
