"""Two processes of ucxx, RAPIDS' Python binding of UCX, over whatever transports
UCX has, in the mode of progress that UCXPY_PROGRESS_MODE says.

    ucxx_pair.py TEST...

    arrays      every size from 1 byte to 256 MB goes there and comes back
    endpoints   500 endpoints to one listener, a message on each
    closed      the peer closes its endpoint while this one receives
    killed      the peer dies by SIGKILL while this one receives
    idle        this one waits for a message of a peer that sleeps; says how much
                of the processor ucxx took meanwhile

Prints "ok TEST: what it was" or "failed TEST: why" for each. This process listens,
and starts a peer for each test, which connects.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time

import numpy
import ucxx

SIZES = [1, 7, 8, 31, 32, 33, 1000, 4096, 8191, 8928, 8929, 10000, 65536, 1000003,
         1 << 20, 16 << 20, 256 << 20]
ENDPOINTS = 500
IDLE_SECONDS = 3


def pattern(size):
    """Bytes in which each block differs from the others"""
    block = numpy.random.default_rng(size).integers(0, 256, min(size, 65521),
                                                    dtype="u1")
    return numpy.resize(block, size)


async def leave(ep):
    """Closes, after the other has received all: what ucxx has only sent may be lost
    when it closes, over tcp"""
    await ep.recv(numpy.empty(1, dtype="u1"))
    await ep.close()


async def let_leave(ep):
    await ep.send(numpy.zeros(1, dtype="u1"))


async def peer_arrays(connect):
    ep = await connect()
    for size in SIZES:
        data = numpy.empty(size, dtype="u1")
        await ep.recv(data)
        await ep.send(data)
    await leave(ep)


async def main_arrays(accept, peer):
    ep = await accept()
    for size in SIZES:
        data = pattern(size)
        back = numpy.zeros(size, dtype="u1")
        await ep.send(data)
        await ep.recv(back)
        if not numpy.array_equal(data, back):
            raise RuntimeError(f"{size} bytes: other data came back")
    await let_leave(ep)
    print("payload", 2 * sum(SIZES))
    return f"{len(SIZES)} sizes, {sum(SIZES)} bytes in each direction"


async def peer_endpoints(connect):
    eps = [await connect() for _ in range(ENDPOINTS)]
    for number, ep in enumerate(eps):
        await ep.send(numpy.array([number], dtype="i4"))
    for ep in eps:
        await ep.recv(numpy.empty(1, dtype="i4"))
    for ep in eps:
        await ep.close()


async def main_endpoints(accept, peer):
    eps = [await accept() for _ in range(ENDPOINTS)]
    numbers = set()
    for ep in eps:
        data = numpy.empty(1, dtype="i4")
        await ep.recv(data)
        numbers.add(int(data[0]))
    if numbers != set(range(ENDPOINTS)):
        raise RuntimeError(f"{len(numbers)} of {ENDPOINTS} messages are right")
    for ep in eps:
        await ep.send(numpy.zeros(1, dtype="i4"))
    return f"{ENDPOINTS} endpoints"


async def peer_closed(connect):
    ep = await connect()
    await ep.recv(numpy.empty(1, dtype="i4"))
    await ep.close()


async def peer_killed(connect):
    ep = await connect()
    await ep.send(numpy.zeros(1, dtype="i4"))
    await ep.recv(numpy.empty(1, dtype="i4"))   # for ever


async def receive_error(ep):
    """The error that ends a receive; there is no time limit but the caller's"""
    try:
        await ep.recv(numpy.empty(1000, dtype="u1"))
    except ucxx.exceptions.UCXError as error:
        return type(error).__name__
    raise RuntimeError("a message came from nobody")


async def main_closed(accept, peer):
    ep = await accept()
    # Posted before the peer closes: what is posted to an endpoint that closes at
    # that moment, ucxx may leave waiting
    received = asyncio.ensure_future(receive_error(ep))
    await asyncio.sleep(0)
    await ep.send(numpy.zeros(1, dtype="i4"))
    return await received


async def main_killed(accept, peer):
    ep = await accept()
    await ep.recv(numpy.empty(1, dtype="i4"))
    asyncio.get_running_loop().call_later(0.5, peer.send_signal, signal.SIGKILL)
    return await receive_error(ep)


async def peer_idle(connect):
    ep = await connect()
    await ep.send(numpy.zeros(1, dtype="i4"))
    await asyncio.sleep(IDLE_SECONDS)
    await ep.send(numpy.zeros(1000000, dtype="u1"))
    await leave(ep)


async def main_idle(accept, peer):
    ep = await accept()
    await ep.recv(numpy.empty(1, dtype="i4"))
    begin = time.process_time()
    await ep.recv(numpy.empty(1000000, dtype="u1"))
    used = time.process_time() - begin
    await let_leave(ep)
    return f"{used:.2f} s of processor time in {IDLE_SECONDS} s"


async def run_peer(test, port):
    async def connect():
        return await ucxx.create_endpoint("127.0.0.1", port)

    await globals()["peer_" + test](connect)


async def run_test(test):
    accepted = asyncio.Queue()
    finished = asyncio.Event()

    async def on_endpoint(ep):
        await accepted.put(ep)
        await finished.wait()

    listener = ucxx.create_listener(on_endpoint)
    peer = subprocess.Popen([sys.executable, __file__, "--peer", test,
                             str(listener.port)])
    try:
        result = await globals()["main_" + test](accepted.get, peer)
    except BaseException:
        peer.kill()
        raise
    finally:
        finished.set()
        # Its endpoints close with the help of our progress
        while peer.poll() is None:
            await asyncio.sleep(0.01)
        listener.close()
    if peer.returncode != (-signal.SIGKILL if test == "killed" else 0):
        raise RuntimeError(f"the peer ended with {peer.returncode}")
    return result


async def run_tests(tests):
    for test in tests:
        try:
            print(f"ok {test}: {await run_test(test)}", flush=True)
        except Exception as error:
            print(f"failed {test}: {error!r}", flush=True)


if __name__ == "__main__":
    ucxx.init()
    if sys.argv[1] == "--peer":
        asyncio.run(run_peer(sys.argv[2], int(sys.argv[3])))
    else:
        asyncio.run(run_tests(sys.argv[1:]))
