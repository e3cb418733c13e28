"""The peer with the official client for Python.

Commands come on the standard input, one JSON object a line; it ends with them. See ../README.md for the commands and events.
"""

import json
import os
import sys
import threading
import traceback

from lightstreamer.client import (
    ClientListener,
    ClientMessageListener,
    LightstreamerClient,
    Subscription,
    SubscriptionListener,
)

clients = {}  # by name
subscriptions = {}  # by client and name
output = threading.Lock()


def tell(client, event, **details):
    """Writes an event; the library calls its listeners on threads of its own."""
    line = json.dumps({"client": client, "event": event, **details})
    with output:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class OfClient(ClientListener):
    def __init__(self, name, client):
        self.name, self.client = name, client

    def onStatusChange(self, status):
        tell(self.name, "status", status=status, session=self.client.connectionDetails.getSessionId())

    def onServerError(self, code, message):
        tell(self.name, "serverError", code=code, text=message)

    def onPropertyChange(self, property):
        if property == "realMaxBandwidth":
            tell(self.name, "bandwidth", text=str(self.client.connectionOptions.getRealMaxBandwidth()))


class OfSubscription(SubscriptionListener):
    def __init__(self, client, sub, fields, second):
        self.client, self.sub = client, sub
        self.columns = [(field, i + 1) for i, field in enumerate(fields)] + [(field, field) for field in second]

    def tell(self, event, **details):
        tell(self.client, event, sub=self.sub, **details)

    def onSubscription(self):
        self.tell("subscribed")

    def onUnsubscription(self):
        self.tell("unsubscribed")

    def onSubscriptionError(self, code, message):
        self.tell("subscriptionError", code=code, text=message)

    def onCommandSecondLevelSubscriptionError(self, code, message, key):
        self.tell("secondLevelError", code=code, text=message, key=key)

    def onEndOfSnapshot(self, itemName, itemPos):
        self.tell("endOfSnapshot", item=itemName, pos=itemPos)

    def onClearSnapshot(self, itemName, itemPos):
        self.tell("clearSnapshot", item=itemName, pos=itemPos)

    def onItemLostUpdates(self, itemName, itemPos, lostUpdates):
        self.tell("lost", item=itemName, pos=itemPos, lost=lostUpdates)

    def onRealMaxFrequency(self, frequency):
        self.tell("frequency", text=str(frequency))

    def onItemUpdate(self, update):
        patch = update.getValueAsJSONPatchIfAvailable(1)
        self.tell(
            "update",
            item=update.getItemName(),
            pos=update.getItemPos(),
            snapshot=update.isSnapshot(),
            values={field: update.getValue(column) for field, column in self.columns},
            changed=[field for field, column in self.columns if update.isValueChanged(column)],
            patch=patch if patch is None or isinstance(patch, str) else json.dumps(patch),
        )


class OfMessage(ClientMessageListener):
    def __init__(self, client):
        self.client = client

    def tell(self, message, outcome, **details):
        tell(self.client, "message", message=message, outcome=outcome, **details)

    def onProcessed(self, msg, response):
        self.tell(msg, "processed", text=response or "")

    def onDeny(self, msg, code, error):
        self.tell(msg, "denied", code=code, text=error)

    def onError(self, msg):
        self.tell(msg, "error")

    def onAbort(self, msg, sentOnNetwork):
        self.tell(msg, "aborted")

    def onDiscarded(self, msg):
        self.tell(msg, "discarded")


def create(client, url, set):
    clients[client] = LightstreamerClient(url, set)
    clients[client].addListener(OfClient(client, clients[client]))


def connect(client, transport=None, user=None, password=None, options=None):
    c = clients[client]
    if user is not None:
        c.connectionDetails.setUser(user)
    if password is not None:
        c.connectionDetails.setPassword(password)
    if transport is not None:
        c.connectionOptions.setForcedTransport(transport)
    for option, value in (options or {}).items():
        getattr(c.connectionOptions, "set" + option)(value)
    c.connect()


def disconnect(client):
    clients[client].disconnect()


def subscribe(client, sub, mode, fields, items=None, group=None, schema=None, adapter=None, snapshot=None, frequency=None,
              buffer=None, secondFields=None, secondAdapter=None):
    s = Subscription(mode, None, None)
    if group is not None:
        s.setItemGroup(group)
    else:
        s.setItems(items)
    if schema is not None:
        s.setFieldSchema(schema)
    else:
        s.setFields(fields)
    if adapter is not None:
        s.setDataAdapter(adapter)
    if snapshot is not None:
        s.setRequestedSnapshot(snapshot)
    if frequency is not None:
        s.setRequestedMaxFrequency(frequency)
    if buffer is not None:
        s.setRequestedBufferSize(buffer)
    if secondFields is not None:
        s.setCommandSecondLevelFields(secondFields)
        s.setCommandSecondLevelDataAdapter(secondAdapter)
    s.addListener(OfSubscription(client, sub, fields, secondFields or []))
    subscriptions[client, sub] = s
    clients[client].subscribe(s)


def unsubscribe(client, sub):
    clients[client].unsubscribe(subscriptions[client, sub])


def frequency(client, sub, value):
    subscriptions[client, sub].setRequestedMaxFrequency(value)


def bandwidth(client, value):
    clients[client].connectionOptions.setRequestedMaxBandwidth(value)


def send(client, message, sequence=None):
    clients[client].sendMessage(message, sequence, None, OfMessage(client), True)


commands = {f.__name__: f for f in (create, connect, disconnect, subscribe, unsubscribe, frequency, bandwidth, send)}

tell(None, "ready", text=LightstreamerClient.LIB_VERSION)
for line in sys.stdin:
    command = json.loads(line)
    name = command.pop("do")
    try:
        commands[name](**command)
    except Exception:
        tell(command.get("client"), "crash", text=traceback.format_exc())
os._exit(0)  # the library's threads would keep the process
