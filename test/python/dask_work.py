"""Dask's work on two workers: an array's sum over a transposition, and of data
frames a shuffle, a merge and a group-by. Prints a digest of the results, which do
not depend on the protocol, and how many seconds the shutdown took.

    dask_work.py PROTOCOL             a LocalCluster of processes
    dask_work.py PROTOCOL SCHEDULER   workers that are there, by the scheduler's file
"""

import hashlib
import sys
import time

import dask
import dask.array
import dask.dataframe
import numpy
import pandas
from distributed import Client, LocalCluster

ROWS = 200000


def array_work():
    numbers = numpy.arange(4000 * 4000, dtype="i8").reshape(4000, 4000)
    # From the client to the scheduler, and to the workers, at least
    print("payload", 2 * numbers.nbytes)
    array = dask.array.from_array(numbers, chunks=(1000, 4000))
    # Each block of the result needs one of every worker
    mixed = array.rechunk((4000, 1000)) + array.T.rechunk((4000, 1000))
    return mixed[::7, ::11].sum(axis=0).compute().tobytes()


def frame_work():
    random = numpy.random.default_rng(1)
    left = pandas.DataFrame({"key": random.integers(0, 5000, ROWS),
                             "a": random.integers(0, 1000, ROWS)})
    right = pandas.DataFrame({"key": numpy.arange(5000),
                              "b": random.integers(0, 1000, 5000)})
    left = dask.dataframe.from_pandas(left, npartitions=8).shuffle("key")
    right = dask.dataframe.from_pandas(right, npartitions=4)
    merged = left.merge(right, on="key")
    merged["c"] = merged.a * merged.b
    sums = merged.groupby("key").c.sum().compute().sort_index()
    return sums.to_numpy().tobytes()


def work(client):
    client.wait_for_workers(2)
    digest = hashlib.sha256()
    digest.update(array_work())
    digest.update(frame_work())
    print("digest", digest.hexdigest(), flush=True)


def run(protocol, scheduler_file=None):
    """Returns when the shutdown began"""
    if scheduler_file:
        with Client(scheduler_file=scheduler_file) as client:
            work(client)
            begin = time.monotonic()
            client.shutdown()
    else:
        with LocalCluster(protocol=protocol, n_workers=2, threads_per_worker=1,
                          processes=True, dashboard_address=None) as cluster, \
                Client(cluster) as client:
            work(client)
            begin = time.monotonic()
    return begin


if __name__ == "__main__":
    dask.config.set({"dataframe.shuffle.method": "p2p",
                     "distributed.admin.tick.limit": "60s"})
    begin = run(*sys.argv[1:])
    print(f"shutdown {time.monotonic() - begin:.1f}")
    print("ok")
