"""A reply that cannot be read keeps its code on the way between processes."""

from __future__ import annotations

import pickle

from tasks.roles.chat import BadReply


def test_a_bad_reply_keeps_its_code_in_a_pickle() -> None:
    sent = pickle.loads(pickle.dumps(BadReply("not_json", "line 1")))
    assert (sent.code, sent.detail, str(sent)) == ("not_json", "line 1", "not_json: line 1")
