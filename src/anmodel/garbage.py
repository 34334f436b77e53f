"""Python's collector of cycles, for stages that handle many objects and make no cycles of them."""

import gc


def calm_the_garbage_collector() -> None:
    """Let it look, rarely, at what work leaves behind, and never again at what stays: the modules, the application.

    By default it would go through all of them many times a second, for a quarter of the processor time. To be called
    once all is built.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
