import com.lightstreamer.adapters.remote.DataProvider;
import com.lightstreamer.adapters.remote.DataProviderException;
import com.lightstreamer.adapters.remote.DiffAlgorithm;
import com.lightstreamer.adapters.remote.FailureException;
import com.lightstreamer.adapters.remote.ItemEventListener;
import com.lightstreamer.adapters.remote.SubscriptionException;
import java.util.LinkedHashMap;
import java.util.Map;

/** The Data Adapter. */
final class Data implements DataProvider {
  private volatile ItemEventListener out;
  private volatile Thread ticking;

  @Override public void init(Map<String, String> parameters, String configFile) throws DataProviderException {
    Json.tell("initData", "params", parameters);
    if ("data".equals(parameters.get("remote:refuse"))) {
      throw new DataProviderException("data init refused");
    }
  }

  @Override public void setListener(ItemEventListener listener) {
    out = listener;
  }

  @Override public boolean isSnapshotAvailable(String item) {
    return !item.startsWith("live");
  }

  private static Map<String, String> row(String... pairs) {
    Map<String, String> row = new LinkedHashMap<>();
    for (int i = 0; i < pairs.length; i += 2) {
      row.put(pairs[i], pairs[i + 1]);
    }
    return row;
  }

  @Override public void subscribe(String item) throws SubscriptionException, FailureException {
    Json.tell("subscribe", "item", item);
    if (item.startsWith("live")) {
      out.update(item, row("value", "1"), false);
      return;
    }
    switch (item) {
      case "merge" -> {
        out.update(item, row("name", "merge", "value", "1"), true);
        out.endOfSnapshot(item);
        out.update(item, row("value", "2"), false);
      }
      case "values" -> {
        out.update(item, row("crlf", "x\r\ny", "dollar", "$", "empty", "", "hash", "#", "long", "0123456789".repeat(1000),
            "null", null, "percent", "100%25", "pipe", "a|b", "plus", "a+b c", "sep", "x\u0085y\u2028z", "space", " ",
            "tab", "x\ty", "uni", "caf\u00e9 \uD83D\uDE00"), true);
        out.endOfSnapshot(item);
        out.update(item, row("empty", null, "null", ""), false);
      }
      case "clear" -> {
        out.update(item, row("value", "1"), true);
        out.endOfSnapshot(item);
        out.clearSnapshot(item);
        out.update(item, row("value", "2"), false);
      }
      case "distinct" -> {
        for (String value : new String[] {"1", "2", "3"}) {
          out.update(item, row("value", value), true);
        }
        out.endOfSnapshot(item);
        out.update(item, row("value", "4"), false);
      }
      case "command" -> {
        out.update(item, row("command", "ADD", "key", "k1", "value", "1"), true);
        out.update(item, row("command", "ADD", "key", "k2", "value", "1"), true);
        out.endOfSnapshot(item);
        out.update(item, row("command", "UPDATE", "key", "k1", "value", "2"), false);
        out.update(item, row("command", "DELETE", "key", "k2"), false);
      }
      case "tick" -> {
        out.update(item, row("value", "0"), true);
        out.endOfSnapshot(item);
        ticking = new Thread(this::tick);
        ticking.start();
      }
      case "json" -> {
        out.declareFieldDiffOrder(item, Map.of("value", new DiffAlgorithm[] {DiffAlgorithm.JSONPATCH}));
        String rest = ",\"list\":[" + "1,".repeat(50) + "1]}";
        out.update(item, row("value", "{\"a\":1" + rest), true);
        out.endOfSnapshot(item);
        out.update(item, row("value", "{\"a\":2" + rest), false);
      }
      case "suberror" -> throw new SubscriptionException("no such item");
      case "subgeneric" -> throw new IllegalStateException("boom");
      case "subfailure" -> throw new FailureException("adapter failed");
      case "failure" -> out.failure(new Exception("adapter failed"));
      default -> { }
    }
  }

  private void tick() {
    try {
      for (int count = 1;; count++) {
        Thread.sleep(20);
        out.update("tick", row("value", Integer.toString(count)), false);
      }
    } catch (InterruptedException e) {
      // unsubscribed
    }
  }

  @Override public void unsubscribe(String item) throws SubscriptionException {
    Json.tell("unsubscribe", "item", item);
    if (item.equals("tick")) {
      ticking.interrupt();
    }
    if (item.equals("unsuberror")) {
      throw new SubscriptionException("cannot leave");
    }
  }
}
