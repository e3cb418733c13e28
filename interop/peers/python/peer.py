"""The peer of the interoperability lab, written with the official Python SDK. See ../README.md."""
import json
import ssl
import sys
import threading

from lightstreamer_adapter.interfaces.data import DataProvider, DataProviderError, FailureError, SubscribeError
from lightstreamer_adapter.interfaces.metadata import (
    AccessError, ConflictingSessionError, CreditsError, ItemsError, MetadataProvider, MetadataProviderError, Mode,
    NotificationError, SchemaError)
from lightstreamer_adapter.server import DataProviderServer, ExceptionHandler, MetadataProviderServer

OUT = threading.Lock()


def tell(call, **args):
    with OUT:
        print(json.dumps({"call": call, **args}), flush=True)


VALUES = {
    "crlf": "x\r\ny", "dollar": "$", "empty": "", "hash": "#", "long": "0123456789" * 1000, "null": None,
    "percent": "100%25", "pipe": "a|b", "plus": "a+b c", "sep": "x\u0085y\u2028z", "space": " ", "tab": "x\ty",
    "uni": "caf\u00e9 \U0001F600",
}


class Data(DataProvider):
    def __init__(self):
        self.listener = None
        self.ticks = None

    def initialize(self, parameters, config_file=None):
        tell("initData", params=parameters)
        if parameters.get("remote:refuse") == "data":
            raise DataProviderError("data init refused")

    def set_listener(self, event_listener):
        self.listener = event_listener

    def issnapshot_available(self, item_name):
        return not item_name.startswith("live")

    def subscribe(self, item_name):
        tell("subscribe", item=item_name)
        out = self.listener
        if item_name.startswith("live"):
            out.update(item_name, {"value": "1"}, False)
        elif item_name == "merge":
            out.update(item_name, {"name": "merge", "value": "1"}, True)
            out.end_of_snapshot(item_name)
            out.update(item_name, {"value": "2"}, False)
        elif item_name == "values":
            out.update(item_name, VALUES, True)
            out.end_of_snapshot(item_name)
            out.update(item_name, {"empty": None, "null": ""}, False)
        elif item_name == "clear":
            out.update(item_name, {"value": "1"}, True)
            out.end_of_snapshot(item_name)
            out.clear_snapshot(item_name)
            out.update(item_name, {"value": "2"}, False)
        elif item_name == "distinct":
            for value in "123":
                out.update(item_name, {"value": value}, True)
            out.end_of_snapshot(item_name)
            out.update(item_name, {"value": "4"}, False)
        elif item_name == "command":
            out.update(item_name, {"command": "ADD", "key": "k1", "value": "1"}, True)
            out.update(item_name, {"command": "ADD", "key": "k2", "value": "1"}, True)
            out.end_of_snapshot(item_name)
            out.update(item_name, {"command": "UPDATE", "key": "k1", "value": "2"}, False)
            out.update(item_name, {"command": "DELETE", "key": "k2"}, False)
        elif item_name == "tick":
            out.update(item_name, {"value": "0"}, True)
            out.end_of_snapshot(item_name)
            self.ticks = threading.Event()
            threading.Thread(target=self.tick, args=(self.ticks,), daemon=True).start()
        elif item_name == "bytes":
            out.update(item_name, {"value": b"caf\xe9 \x01"}, True)
            out.end_of_snapshot(item_name)
        elif item_name == "suberror":
            raise SubscribeError("no such item")
        elif item_name == "subgeneric":
            raise RuntimeError("boom")
        elif item_name == "subfailure":
            raise FailureError("adapter failed")
        elif item_name == "failure":
            out.failure(Exception("adapter failed"))

    def tick(self, over):
        count = 0
        while not over.wait(0.02):
            count += 1
            self.listener.update("tick", {"value": str(count)}, False)

    def unsubscribe(self, item_name):
        tell("unsubscribe", item=item_name)
        if item_name == "tick":
            self.ticks.set()
        if item_name == "unsuberror":
            raise SubscribeError("cannot leave")


def table(info):
    return {"win": info.win_index, "mode": info.mode.name, "group": info.group, "schema": info.schema, "min": info.min,
            "max": info.max, "selector": info.selector}


class Metadata(MetadataProvider):
    def __init__(self):
        self.conflict = None

    def initialize(self, parameters, config_file=None):
        tell("initMetadata", params=parameters)
        if parameters.get("remote:refuse") == "metadata":
            raise MetadataProviderError("metadata init refused")

    def notify_user(self, user, password, http_headers):
        tell("notifyUser", user=user, password=password, headers=http_headers)
        if user in ("refused", "resource"):
            raise AccessError("wrong password")
        if user == "credits":
            raise CreditsError(-12, "no credit", "pay + try|again")
        if user == "broken":
            raise RuntimeError("boom")

    def notify_user_with_principal(self, user, password, http_headers, client_principal=None):
        tell("notifyUserAuth", user=user, password=password, headers=http_headers, principal=client_principal)

    def get_allowed_max_bandwidth(self, user):
        return 12.5 if user == "slow" else 0.0

    def wants_tables_notification(self, user):
        return user != "quiet"

    def notify_new_session(self, user, session_id, client_context):
        tell("newSession", user=user, session=session_id, context=client_context)
        if user == "nosession":
            raise CreditsError(-20, "no session", "not now")
        if user == "inconsistent":
            raise NotificationError("inconsistent")
        if user == "conflict":
            earlier, self.conflict = self.conflict, session_id
            if earlier is not None:
                self.conflict = None
                raise ConflictingSessionError(-30, "two", earlier, "one at a time")

    def notify_session_close(self, session_id):
        tell("sessionClose", session=session_id)

    def get_items(self, user, session_id, group):
        tell("items", user=user, session=session_id, group=group)
        if group == "badgroup":
            raise ItemsError("bad group")
        if group == "brokengroup":
            raise RuntimeError("boom")
        return [] if group == "nogroup" else group.split(" ")

    def get_schema(self, user, session_id, group, schema):
        tell("schema", user=user, session=session_id, group=group, schema=schema)
        if schema == "badschema":
            raise SchemaError("bad schema")
        if schema == "badgroupschema":
            raise ItemsError("bad group for schema")
        return schema.split(" ")

    def mode_may_be_allowed(self, item, mode):
        return item != "mergeonly" or mode == Mode.MERGE

    def ismode_allowed(self, user, item, mode):
        return item != "secret" or user != "guest"

    def get_distinct_snapshot_length(self, item):
        return 2 if item == "distinct" else 0

    def get_min_source_frequency(self, item):
        return 0.5 if item == "slowsource" else 0.0

    def get_allowed_max_item_frequency(self, user, item):
        return 2.0 if item == "limited" else 0.0

    def get_allowed_buffer_size(self, user, item):
        return 3 if item == "buffered" else 0

    def notify_user_message(self, user, session_id, message):
        tell("message", user=user, session=session_id, message=message)
        self.judge(message, -123, "test error")

    def notify_new_tables(self, user, session_id, tables):
        tell("newTables", user=user, session=session_id, tables=[table(t) for t in tables])
        self.judge(tables[0].selector, -40, "no table")

    def notify_tables_close(self, session_id, tables):
        tell("tablesClose", session=session_id, tables=[table(t) for t in tables])

    def notify_mpn_device_access(self, user, session_id, device):
        tell("mpnDevice", user=user, session=session_id, platform=device.mpn_platform_type.value,
             app=device.application_id, token=device.device_token)
        self.judge(device.application_id, -50, "no push")

    def notify_mpn_subscription_activation(self, user, session_id, table_info, subscription):
        tell("mpnActivation", user=user, session=session_id, table=table(table_info), app=subscription.device.application_id,
             trigger=subscription.trigger, format=subscription.notification_format)
        self.judge(subscription.device.application_id, -50, "no push")

    def notify_mpn_device_token_change(self, user, session_id, device, new_device_token):
        tell("mpnToken", user=user, session=session_id, app=device.application_id, token=device.device_token,
             newToken=new_device_token)
        self.judge(device.application_id, -50, "no push")

    @staticmethod
    def judge(text, code, user_message):
        if text == "credits":
            raise CreditsError(code, "not allowed", user_message)
        if text == "inconsistent":
            raise NotificationError("inconsistent")
        if text == "broken":
            raise RuntimeError("boom")


class Handler(ExceptionHandler):
    """Tells, and leaves the handling to the SDK: the process ends with its connection."""

    def handle_ioexception(self, exception):
        tell("lost", reason=str(exception))
        return True

    def handle_exception(self, exception):
        tell("exception", reason=str(exception))
        return True


def main():
    config = json.loads(sys.argv[1])
    options = {}
    if "keepalive" in config:
        options["keep_alive"] = config["keepalive"] / 1000
    if "ca" in config:
        options["ssl_context"] = ssl.create_default_context(cafile=config["ca"])
    for key, make, adapter in (("metadata", MetadataProviderServer, Metadata()), ("data", DataProviderServer, Data())):
        if key not in config:
            continue
        server = make(adapter, tuple(config[key]), name=key, **options)
        server.remote_user, server.remote_password = config.get("user"), config.get("password")
        server.set_exception_handler(Handler())
        server.start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
