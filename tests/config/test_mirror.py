"""The tuned thresholds go into their block of config.yaml; every other byte stays."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import Threshold, load, loads, mirror_thresholds
from core.config.mirror import replace_thresholds
from core.errors import ConfigError
from tests.config.toys import SETUPS

TABLE = {"BTC/USDT:USDT": {"5m": Threshold(0.58, None), "1h": Threshold(0.61, 0.05)},
         "1000A/USDT:USDT": {"4h": Threshold(None, -0.2)}}
BLOCK = ("      BTC/USDT:USDT:\n        5m: {threshold: 0.58}\n        1h: {threshold: 0.61, min_ev_pct: 0.05}\n"
         "      1000A/USDT:USDT:\n        4h: {min_ev_pct: -0.2}\n")
HEAD = "# mine\nrisk: {max_leverage: 7}   # low\nmodels:\n  meta:   # judge\n    threshold: 0.6 # t\n"
TAIL = "    # about regimes\n    per_regime: {}\n\n# end\n"


def thresholds(text):
    return loads(text, SETUPS, {}).models.meta.per_pair_tf


@pytest.mark.covers("D16", "rule 32")
@pytest.mark.parametrize(("before", "after"), [
    ("    per_pair_tf: {}\n", "    per_pair_tf:\n" + BLOCK),
    ("    per_pair_tf: {}   # tuned\n", "    per_pair_tf:   # tuned\n" + BLOCK),
    ("    per_pair_tf: {X/USDT:USDT: {1h: {threshold: 1}}}\n", "    per_pair_tf:\n" + BLOCK),
    ("    per_pair_tf:  # tuned\n      X/USDT:USDT:\n        1h: {threshold: 1}\n",
     "    per_pair_tf:  # tuned\n" + BLOCK),
    ("    per_pair_tf:\n      X/USDT:USDT:\n        1h:\n          threshold: 1 # gone\n",
     "    per_pair_tf:\n" + BLOCK),
])
def test_the_block_is_replaced_and_the_rest_keeps_every_byte(before, after):
    result = replace_thresholds(HEAD + before + TAIL, TABLE)
    assert result == HEAD + after + TAIL
    assert thresholds(result) == TABLE


def test_an_empty_table_becomes_an_empty_mapping():
    text = HEAD + "    per_pair_tf:   # tuned\n" + BLOCK + TAIL
    assert replace_thresholds(text, {}) == HEAD + "    per_pair_tf: {}   # tuned\n" + TAIL
    assert replace_thresholds(HEAD + "    per_pair_tf: {}\n" + TAIL, {}) == HEAD + "    per_pair_tf: {}\n" + TAIL


def test_a_missing_key_is_added_to_the_section():
    result = replace_thresholds(HEAD + TAIL, TABLE)
    assert thresholds(result) == TABLE
    assert result.replace("    per_pair_tf:\n" + BLOCK, "") == HEAD + TAIL


def test_a_section_in_one_line_stays_in_one_line():
    text = "models: {meta: {per_pair_tf: {}, threshold: 0.6}}  # short\n"
    result = replace_thresholds(text, TABLE)
    assert result.count("\n") == 1 and result.endswith("threshold: 0.6}}  # short\n") and thresholds(result) == TABLE


@pytest.mark.parametrize("text", ["risk: {}\n", "models: {}\n", "models: {meta: {}}\n", "models: {meta: 5}\n"])
def test_a_file_without_a_place_is_left_alone(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="per_pair_tf"):
        mirror_thresholds(path, TABLE, SETUPS, {})
    assert path.read_text() == text and os.listdir(tmp_path) == ["c.yaml"]


def test_a_wrong_file_or_table_is_left_alone(tmp_path):
    path = tmp_path / "c.yaml"
    impossible = {"BTC/USDT:USDT": {"7m": Threshold(0.5)}}
    for text, table in ((HEAD + "    per_regme: {}\n", TABLE), (HEAD + TAIL, impossible)):
        path.write_text(text)
        with pytest.raises(ConfigError):
            mirror_thresholds(path, table, SETUPS, {})
        assert path.read_text() == text and os.listdir(tmp_path) == ["c.yaml"]


def test_the_file_is_replaced_atomically_with_its_mode_bom_and_line_ends(tmp_path):
    path, link = tmp_path / "c.yaml", tmp_path / "link.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + (HEAD + "    per_pair_tf: {}  # x\n" + TAIL).replace("\n", "\r\n").encode())
    path.chmod(0o640)
    link.symlink_to(path)
    assert mirror_thresholds(link, TABLE, SETUPS, {}) is True
    assert mirror_thresholds(link, TABLE, SETUPS, {}) is False
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf# mine\r\n") and data.count(b"\n") == data.count(b"\r\n")
    assert link.is_symlink() and path.stat().st_mode & 0o777 == 0o640
    assert load(path, SETUPS, {}).models.meta.per_pair_tf == TABLE


ROWS = st.builds(Threshold, st.floats(0, 1) | st.none(), st.floats(-100, 100))
TABLES = st.dictionaries(
    st.sampled_from(["BTC/USDT:USDT", "ON/USDT:USDT", "1INCH/USDC:USDC", "$A/USDT:USDT"]),
    st.dictionaries(st.sampled_from(["5m", "15m", "1h", "4h", "1d"]), ROWS, min_size=1), max_size=4)


@given(first=TABLES, second=TABLES, place=st.sampled_from(["    per_pair_tf: {}\n", ""]))
def test_any_table_is_read_back_as_written_and_leaves_no_trace_when_taken_out(first, second, place):
    text = HEAD + place + TAIL
    once = replace_thresholds(text, first)
    twice = replace_thresholds(once, second)
    assert thresholds(once) == first and thresholds(twice) == second
    assert replace_thresholds(twice, {}) == replace_thresholds(text, {})
