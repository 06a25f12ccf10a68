"""Read event files of TensorBoard."""

import os
import struct


def read_scalars(folder):
    """Return the scalars that TensorBoard shows: dict of tag to list of (step, value), in the order of writing.

    The files are read in the order of their names. The start of a session discards the events of its step and of later
    ones, as TensorBoard does.
    """
    from tensorboardX.proto.event_pb2 import Event, SessionLog
    scalars = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as stream:
            content = stream.read()
        while content:
            length, = struct.unpack("<Q", content[:8])
            event = Event.FromString(content[12:12 + length])       # 4 bytes of checksum before and after it
            content = content[16 + length:]
            if event.session_log.status == SessionLog.START:
                for tag in scalars:
                    scalars[tag] = [(step, value) for step, value in scalars[tag] if step < event.step]
            for value in event.summary.value:
                scalars.setdefault(value.tag, []).append((event.step, value.simple_value))
    return scalars
