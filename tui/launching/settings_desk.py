"""What the settings screen may ask and change: the user's configuration, the alert channels.

Files and the network: called on threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChannelLine:
    """An alert channel as it is shown: its URL is a secret, of which the service is told."""

    name: str
    service: str


class SettingsDesk:
    """Reads and writes what belongs to the user."""

    def get(self, key: str) -> str | None:
        """The value in force. Raises ConfigError."""
        from runners import config

        return config.get(key)

    def put(self, key: str, value: str) -> None:
        """Keep *value* in the user's configuration. Raises ConfigError."""
        from runners import config

        config.put(key, value)

    def channels(self) -> tuple[ChannelLine, ...]:
        """The alert channels. Raises MonitorError."""
        from monitor.alert_channels import channels_path, read_channels

        return tuple(
            ChannelLine(each.name, each.redacted) for each in read_channels(channels_path())
        )

    def add(self, typed: str, wanted: Callable[[], bool]) -> str | None:
        """Keep the channel that was *typed*, `[NAME] URL`, as `lanewatch alerts add` does.

        Its name; None where it is not *wanted* any more once apprise has been asked.
        Raises MonitorError or RunnerError, with a sentence that does not hold the URL.
        """
        from tui.cli.alerting import checked_channel, keep_channel

        name, url = named_url(typed)
        channel = checked_channel(url, name)
        if not wanted():
            return None
        keep_channel(channel)
        return channel.name

    def remove(self, channel: str) -> None:
        """Keep *channel* no longer. Raises MonitorError, RunnerError for one that is not there."""
        from tui.cli.alerting import remove_channel

        remove_channel(channel)

    def test(self, channel: str) -> str:
        """Send a test message; how it went, in one sentence. Raises RunnerError."""
        from tui.cli.alerting import send_test

        (result,) = send_test(channel)
        if result["ok"]:
            return f"{channel}: a test message was sent"
        return f"{channel}: the test failed, {result['problem']}"


def named_url(typed: str) -> tuple[str | None, str]:
    """A channel's name, None where it is left out, and its URL.

    Only what stands before the URL is a name: what follows a space within one may be a secret.
    """
    first, _, rest = typed.strip().partition(" ")
    return (first, rest.strip()) if rest and "://" not in first else (None, typed.strip())
