"""Which errors of the driver are about a message, by the frames that they went through."""

from __future__ import annotations

import pytest

from dbpool.core.misreading import is_met_in_reading

READING = ("asyncpg/protocol/coreproto.pyx", "asyncpg.protocol.protocol.CoreProtocol._read_server_messages")
PARSING = ("asyncpg/protocol/coreproto.pyx", "asyncpg.protocol.protocol.CoreProtocol._parse_msg_command_complete")
DECODING = ("asyncpg/protocol/codecs/base.pyx", "asyncpg.protocol.protocol.Codec.decode")
OF_A_DATE = ("asyncpg/pgproto/./codecs/datetime.pyx", "asyncpg.pgproto.pgproto.date_decode")
OURS = ("/app/decode.py", "decode")
SENDING = ("asyncpg/protocol/protocol.pyx", "copy_in")


@pytest.mark.parametrize(
    ("frames", "is_about_a_message"),
    [
        ([], False),
        ([OURS, READING], True),
        ([OURS, READING, PARSING], True),
        ([READING, ("asyncpg/pgproto/frb.pxd", "asyncpg.pgproto.pgproto.frb_check")], True),
        ([READING, DECODING], False),
        ([READING, OF_A_DATE], False),
        ([READING, DECODING, OURS], False),
        ([OURS, SENDING], False),  # a row that is no sequence, say
        ([("asyncpg\\protocol\\coreproto.pyx", "_set_state")], True),
    ],
)
def test_an_error_is_about_a_message_if_the_drivers_own_reading_raised_it(
    frames: list[tuple[str, str]], is_about_a_message: bool
) -> None:
    assert is_met_in_reading(frames) is is_about_a_message
