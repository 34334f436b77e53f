"""The laptop's ClickHouse: the real engine (chDB) in one process, behind ClickHouse's own HTTP interface.

    python -m anmodel.laptop.clickhouse --path FOLDER --port 8123 --user admin

(the password is CLICKHOUSE_PASSWORD in the environment)

    request.py     what a request asks for (address, headers, form)      computes
    statement.py   where a statement's format and data are               computes
    problems.py    ClickHouse's error texts, codes and HTTP statuses     computes
    coding.py      gzip, deflate, lz4, zstd, br, both ways               computes
    running.py     which queries run, and whom to cancel                 threads
    body.py        a request's body, spooled                             socket → memory or file
    reply.py       a response                                            → socket
    engine.py      chDB                                                  the engine
    folder.py      the lock, the spool and the engine's configuration    files
    handler.py     one request from beginning to end
    server.py      sockets, threads, start and end

What differs from a server, because chDB has no way to it: no sessions, roles or further users; `system.processes`
shows the engine's own query ids (the client's is at the end of `Settings['log_comment']`, and `KILL QUERY WHERE
query_id = '…'` understands it); no `compress=1`/`decompress=1` (use Content-Encoding); no external data; no progress
headers.
"""
