"""Child processes that run a module of Ibid: their start, their messages and their end.

`multiprocessing`, loky and `anyio.to_process` give a child every environment variable and unpickle what it
sends, so a file that takes over its reader could read keys and take over the parent. A spawned child of
`multiprocessing` also took 66 ms of CPU time to start, against 49 ms by `subprocess`, and one that was busy
in C code went on after its parent had been killed.
"""
