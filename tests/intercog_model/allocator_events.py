"""What PyTorch's CPU allocator handed out, by the events of its profiler."""


def most_held(found, window):
    """Bytes held at the most inside of the range `window` of a profile, of all that was allocated since it began."""
    events = sorted(found.profiler.kineto_results.events(), key=lambda event: event.start_ns())
    inside = next(event for event in events if event.name() == window)
    held = most = 0
    for event in events:
        if event.name() == "[memory]":
            held += event.nbytes()
            if inside.start_ns() <= event.start_ns() <= inside.start_ns() + inside.duration_ns():
                most = max(most, held)
    return most
