"""References inside the document."""

from typing import Any

JSON = dict[str, Any]


def ref(*path: str) -> JSON:
    """A reference to a place in this document."""
    return {"$ref": pointer(*path)}


def pointer(*path: str) -> str:
    """The place as a JSON pointer in a URI fragment."""
    return "#/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in path)


def to_channel(name: str) -> JSON:
    """A reference to a channel."""
    return ref("channels", name)


def to_message(channel: str, name: str) -> JSON:
    """A reference to a message as one channel carries it: an operation may name no other."""
    return ref("channels", channel, "messages", name)


def component_messages(*names: str) -> JSON:
    """The messages of a channel."""
    return {name: ref("components", "messages", name) for name in names}
