"""Moves messages from Kafka to ClickHouse: each is in its table once, or a dead letter, whatever is killed.

The guarantee, in the order to read it:

1. `assigned` cuts a partition's messages into blocks, ranges of offsets that lie side by side.
2. `plan` is where the blocks end; `positions` writes it beside the group's offset, in Kafka, before a block begins. So
   whoever has the partition next makes the same blocks of the same messages.
3. `work` does one block: `blocks` reads it (`streams` and `reading` know what a message is), `storing` inserts it,
   `dead` writes what is refused to the dead letters.
4. `storing` asks the table (`present`) whenever an insert may have happened before, which `past` tells, or when its
   outcome is unknown, and inserts what is missing.
5. `loop` turns all of it: fetch (`fetching`), cut, write down, begin, and commit what is stored.

`letters` and `replaying` put dead letters back, `resetting` has a day read again, `watching` and `metrics` show what
happens. Decision 022 has the reasoning, docs/faults.md what was tried against it.
"""
