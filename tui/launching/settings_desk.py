"""What the settings screen may ask and change: the user's configuration, the alert channels.

Files and the network: called on threads.
"""

from __future__ import annotations

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

    def test(self, channel: str) -> str:
        """Send a test message; how it went, in one sentence. Raises RunnerError."""
        from tui.cli.alerting import send_test

        (result,) = send_test(channel)
        if result["ok"]:
            return f"{channel}: a test message was sent"
        return f"{channel}: the test failed, {result['problem']}"
