import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.lightstreamer.client.ClientListener;
import com.lightstreamer.client.ClientMessageListener;
import com.lightstreamer.client.ItemUpdate;
import com.lightstreamer.client.LightstreamerClient;
import com.lightstreamer.client.Subscription;
import com.lightstreamer.client.SubscriptionListener;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;

/**
 * The peer with the official client for Java. Commands come on the standard input, one JSON object a line; it ends with them. See
 * ../../../../README.md for the commands and events.
 */
public final class Peer {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);

  private final Map<String, LightstreamerClient> clients = new HashMap<>();
  private final Map<String, Subscription> subscriptions = new HashMap<>(); // by client and name

  public static void main(String[] args) throws Exception {
    Peer peer = new Peer();
    tell(null, event("ready", "text", LightstreamerClient.LIB_VERSION));
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line; (line = in.readLine()) != null; ) {
      JsonNode command = JSON.readTree(line);
      try {
        peer.run(command);
      } catch (Exception e) {
        StringWriter stack = new StringWriter();
        e.printStackTrace(new PrintWriter(stack));
        tell(text(command, "client"), event("crash", "text", stack.toString()));
      }
    }
    Runtime.getRuntime().halt(0); // the library's threads would keep the process
  }

  /** Writes an event; the library calls its listeners on a thread of its own. */
  private static void tell(String client, ObjectNode event) {
    event.put("client", client);
    synchronized (OUT) {
      OUT.println(event);
      OUT.flush();
    }
  }

  private static ObjectNode event(String name, Object... details) {
    ObjectNode e = JSON.createObjectNode().put("event", name);
    for (int i = 0; i < details.length; i += 2) {
      e.set((String) details[i], JSON.valueToTree(details[i + 1]));
    }
    return e;
  }

  private static String text(JsonNode command, String name) {
    JsonNode value = command.get(name);
    return value == null || value.isNull() ? null : value.asText();
  }

  private static String[] texts(JsonNode command, String name) {
    JsonNode list = command.get(name);
    if (list == null || list.isNull()) {
      return new String[0];
    }
    String[] all = new String[list.size()];
    for (int i = 0; i < all.length; i++) {
      all[i] = list.get(i).asText();
    }
    return all;
  }

  private static void given(JsonNode command, String name, Consumer<String> use) {
    String value = text(command, name);
    if (value != null) {
      use.accept(value);
    }
  }

  private void run(JsonNode command) throws Exception {
    String name = text(command, "client");
    String sub = name + "/" + text(command, "sub");
    switch (text(command, "do")) {
      case "create" -> create(name, command);
      case "connect" -> connect(clients.get(name), command);
      case "disconnect" -> clients.get(name).disconnect();
      case "subscribe" -> subscriptions.put(sub, subscribe(name, command));
      case "unsubscribe" -> clients.get(name).unsubscribe(subscriptions.get(sub));
      case "frequency" -> subscriptions.get(sub).setRequestedMaxFrequency(text(command, "value"));
      case "bandwidth" -> clients.get(name).connectionOptions.setRequestedMaxBandwidth(text(command, "value"));
      case "send" -> clients.get(name).sendMessage(text(command, "message"), text(command, "sequence"), -1, new OfMessage(name), true);
      default -> throw new IllegalArgumentException("unknown command " + command);
    }
  }

  private void create(String name, JsonNode command) {
    LightstreamerClient client = new LightstreamerClient(text(command, "url"), text(command, "set"));
    client.addListener(new OfClient(name, client));
    clients.put(name, client);
  }

  private static void connect(LightstreamerClient client, JsonNode command) throws Exception {
    given(command, "user", client.connectionDetails::setUser);
    given(command, "password", client.connectionDetails::setPassword);
    given(command, "transport", client.connectionOptions::setForcedTransport);
    JsonNode options = command.get("options");
    if (options != null) {
      for (Iterator<Map.Entry<String, JsonNode>> all = options.fields(); all.hasNext(); ) {
        Map.Entry<String, JsonNode> option = all.next();
        Method set = client.connectionOptions.getClass().getMethod("set" + option.getKey(), long.class);
        set.invoke(client.connectionOptions, option.getValue().asLong());
      }
    }
    client.connect();
  }

  private Subscription subscribe(String name, JsonNode command) {
    Subscription s = new Subscription(text(command, "mode"));
    if (command.hasNonNull("group")) {
      s.setItemGroup(text(command, "group"));
    } else {
      s.setItems(texts(command, "items"));
    }
    String[] fields = texts(command, "fields");
    String[] second = texts(command, "secondFields");
    if (command.hasNonNull("schema")) {
      s.setFieldSchema(text(command, "schema"));
    } else {
      s.setFields(fields);
    }
    given(command, "adapter", s::setDataAdapter);
    given(command, "snapshot", s::setRequestedSnapshot);
    given(command, "frequency", s::setRequestedMaxFrequency);
    given(command, "buffer", s::setRequestedBufferSize);
    if (second.length > 0) {
      s.setCommandSecondLevelFields(second);
      s.setCommandSecondLevelDataAdapter(text(command, "secondAdapter"));
    }
    s.addListener(new OfSubscription(name, text(command, "sub"), fields, second));
    clients.get(name).subscribe(s);
    return s;
  }

  private record OfClient(String name, LightstreamerClient client) implements ClientListener {
    @Override public void onListenEnd() {}
    @Override public void onListenStart() {}

    @Override public void onStatusChange(String status) {
      tell(name, event("status", "status", status, "session", client.connectionDetails.getSessionId()));
    }

    @Override public void onServerError(int code, String message) {
      tell(name, event("serverError", "code", code, "text", message));
    }

    @Override public void onPropertyChange(String property) {
      if (property.equals("realMaxBandwidth")) {
        tell(name, event("bandwidth", "text", client.connectionOptions.getRealMaxBandwidth()));
      }
    }
  }

  private record OfSubscription(String client, String sub, String[] fields, String[] second) implements SubscriptionListener {
    private void say(String name, Object... details) {
      tell(client, event(name, details).put("sub", sub));
    }

    @Override public void onListenEnd() {}
    @Override public void onListenStart() {}
    @Override public void onCommandSecondLevelItemLostUpdates(int lost, String key) {}
    @Override public void onSubscription() { say("subscribed"); }
    @Override public void onUnsubscription() { say("unsubscribed"); }
    @Override public void onSubscriptionError(int code, String message) { say("subscriptionError", "code", code, "text", message); }
    @Override public void onEndOfSnapshot(String item, int pos) { say("endOfSnapshot", "item", item, "pos", pos); }
    @Override public void onClearSnapshot(String item, int pos) { say("clearSnapshot", "item", item, "pos", pos); }
    @Override public void onItemLostUpdates(String item, int pos, int lost) { say("lost", "item", item, "pos", pos, "lost", lost); }
    @Override public void onRealMaxFrequency(String frequency) { say("frequency", "text", frequency); }

    @Override public void onCommandSecondLevelSubscriptionError(int code, String message, String key) {
      say("secondLevelError", "code", code, "text", message, "key", key);
    }

    @Override public void onItemUpdate(ItemUpdate update) {
      Map<String, String> values = new LinkedHashMap<>();
      ArrayNode changed = JSON.createArrayNode();
      for (int i = 0; i < fields.length; i++) {
        values.put(fields[i], update.getValue(i + 1));
        if (update.isValueChanged(i + 1)) {
          changed.add(fields[i]);
        }
      }
      for (String field : second) {
        values.put(field, update.getValue(field));
        if (update.isValueChanged(field)) {
          changed.add(field);
        }
      }
      say("update", "item", update.getItemName(), "pos", update.getItemPos(), "snapshot", update.isSnapshot(), "values", values,
          "changed", changed, "patch", update.getValueAsJSONPatchIfAvailable(1));
    }
  }

  private record OfMessage(String client) implements ClientMessageListener {
    private void say(String message, String outcome, Object... details) {
      tell(client, event("message", details).put("message", message).put("outcome", outcome));
    }

    @Override public void onProcessed(String message, String response) { say(message, "processed", "text", response == null ? "" : response); }
    @Override public void onDeny(String message, int code, String error) { say(message, "denied", "code", code, "text", error); }
    @Override public void onError(String message) { say(message, "error"); }
    @Override public void onAbort(String message, boolean sent) { say(message, "aborted"); }
    @Override public void onDiscarded(String message) { say(message, "discarded"); }
  }
}
