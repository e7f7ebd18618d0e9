"""Two NIXL agents in two processes: one reads and writes the other's memory, in
pieces of 1 byte to all of it, and says so by NIXL's notifications.

wheel_nixl.py BYTES: prints "ok TRANSFERS" if every byte has arrived. Each process is
started by the interpreter itself, so that UCX is loaded in both.
"""

import multiprocessing
import os
import sys
import time


def finish(agent, handle):
    state = agent.transfer(handle)
    while state == "PROC":
        time.sleep(0.001)
        state = agent.check_xfer_state(handle)
    if state != "DONE":
        raise RuntimeError("transfer: " + state)
    agent.release_xfer_handle(handle)


def pieces(size):
    """(begin, length) of what is transferred, one behind the other"""
    begin = 0
    for length in (1, 8, 4096, 8929, 1000003):
        yield begin, length
        begin += length
    yield begin, size - begin


def notified(agent, name):
    while not agent.check_remote_xfer_done(name, b"written"):
        time.sleep(0.001)


def run(is_target, size, pipe):
    import numpy
    from nixl_cu12._api import nixl_agent, nixl_agent_config

    # Progress by a thread: the target waits in a pipe
    agent = nixl_agent("target" if is_target else "initiator",
                       nixl_agent_config(backends=["UCX"]))
    memory = numpy.full(size, 7 if is_target else 0, dtype=numpy.uint8)
    region = [(memory.ctypes.data, memory.nbytes, 0, "")]
    registered = agent.register_memory(region, "DRAM")

    if is_target:
        pipe.send((agent.get_agent_metadata(), memory.ctypes.data))
        # One of each write
        for _ in pieces(size):
            notified(agent, "initiator")
        pipe.recv()
        pipe.send(bool((memory == pattern(numpy, size)).all()))
        pipe.recv()
    else:
        metadata, address = pipe.recv()
        name = agent.add_remote_agent(metadata)
        name = name.decode() if isinstance(name, bytes) else name

        def transfer(operation, begin, length, *notification):
            local = agent.get_xfer_descs(
                [(memory.ctypes.data + begin, length, 0)], "DRAM")
            remote = agent.get_xfer_descs([(address + begin, length, 0)], "DRAM")
            finish(agent, agent.initialize_xfer(operation, local, remote, name,
                                                *notification))

        for piece in pieces(size):
            transfer("READ", *piece)
        if not (memory == 7).all():
            raise RuntimeError("what was read is not what is there")

        memory[:] = pattern(numpy, size)
        for piece in pieces(size):
            transfer("WRITE", *piece, b"written")
        pipe.send("written")
        if not pipe.recv():
            raise RuntimeError("what was written is not there")
        agent.remove_remote_agent(name)
        agent.deregister_memory(registered)
        pipe.send("end")
        print("ok", 2 * len(list(pieces(size))), flush=True)

    # Its UCX and the system's libefa bring two libnl-route, whose destructors
    # collide (docs/upstream.md)
    sys.stdout.flush()
    os._exit(0)


def pattern(numpy, size):
    return (numpy.arange(size) % 251).astype(numpy.uint8)


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    ours, theirs = multiprocessing.Pipe()
    target = multiprocessing.Process(target=run,
                                     args=(True, int(sys.argv[1]), theirs))
    target.start()
    try:
        run(False, int(sys.argv[1]), ours)
    finally:
        target.terminate()
