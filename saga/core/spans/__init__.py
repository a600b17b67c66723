"""A saga's trace, made from its recorded events alone: the same history gives the same spans, whoever asks and when.

Theory of operation
===================
The trace id is the root saga's id. A span's id is a hash of (saga, version, index, role) of the event that opens it,
so two processes, a crash between export and checkpoint, and a rebuild years later all give the same ids; the id of an
attempt is known when its command is sent, and travels in `traceparent`.

    <saga> started                  zero length, the root of the tree: exported at once, everyone's parent
    ├── <saga>                      the whole saga, exported when it has ended
    ├── <step>                      one execution: from being issued until it is settled or given up
    │   ├── send <destination>      one attempt; the participant's own span is its child
    │   │   ├── undelivered         while it had not reached a queue
    │   │   ├── queue wait          all its time but the handler's: both queues, and the way
    │   │   └── handler             as long as the participant said, up to the commit of its answer
    │   ├── backoff                 between two attempts
    │   └── parked                  in front of an operator
    ├── undo <step>                 one compensation: the same inside, linked to the execution it undoes
    ├── paused
    └── operator …, cancel …        zero length: what people did, late answers, why it compensates

Ranges nest from the step downwards. Events of different processes may carry times a little out of order: a span never
begins before what was recorded before it, so time is the latest seen so far.

An event that no function here knows makes no span.
"""

from saga.core.spans.data import Link, Span, SpanKind

__all__ = ["Link", "Span", "SpanKind"]
