"""The roles: what each is asked, who answers, and how a question gets there.

    questions, picture      what is asked and answered, per role
    backend, backends       a model behind a role; the table of them
    chat, image_edits       requests to servers and their replies
    wires                   by which route of a server's API each kind of request goes
    placement               pools and servers, as configured
    answer_keys, answers    answers that were given once are kept
    router                  kept answer, equal question in flight, pool or server
    batching, replica_set   a pool: batches, deaths, who is to blame
    servers, availability   a server: many requests at once, patience while it is away

Reproducible backends on CPUs are asked in the worker's own process and need no router.
"""
