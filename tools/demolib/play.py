# SPDX-License-Identifier: MIT
"""A demo from its start to its end. It has screen, set_up(), perform(), put_back(), result() and
show(), and the host is put back however it ends."""
import signal

from demolib.control import Failed


def play(demo):
    """Exit code: what demo.show() says; 1 if the demo could not be had, 130 after Ctrl-C."""
    signal.signal(signal.SIGTERM, interrupt)
    try:
        demo.set_up()
        demo.perform()
        demo.put_back()
    except KeyboardInterrupt:
        clean_up(demo, "Stopped")
        return 130
    except Failed as failure:
        clean_up(demo, f"demo: {failure}")
        return 1
    except BaseException:
        clean_up(demo, "demo: an error in the demo itself")
        raise
    return demo.show(demo.result())


def interrupt(*_):
    raise KeyboardInterrupt


def clean_up(demo, why):
    """After a failure or Ctrl-C; a second Ctrl-C must not get in between."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    demo.screen.say(f"\n{why}; putting everything back ...")
    found = demo.put_back()
    clean = not found["changed_knobs"] and not found["leftovers"]
    demo.screen.say("the host is as it was" if clean else
                    f"NOT as it was: {found['changed_knobs'] or found['leftovers']}")
