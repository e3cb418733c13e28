import com.lightstreamer.adapters.remote.AccessException;
import com.lightstreamer.adapters.remote.ConflictingSessionException;
import com.lightstreamer.adapters.remote.CreditsException;
import com.lightstreamer.adapters.remote.ItemsException;
import com.lightstreamer.adapters.remote.MetadataControlListener;
import com.lightstreamer.adapters.remote.MetadataProviderAdapter;
import com.lightstreamer.adapters.remote.MetadataProviderException;
import com.lightstreamer.adapters.remote.Mode;
import com.lightstreamer.adapters.remote.MpnDeviceInfo;
import com.lightstreamer.adapters.remote.MpnSubscriptionInfo;
import com.lightstreamer.adapters.remote.NotificationException;
import com.lightstreamer.adapters.remote.ResourceUnavailableException;
import com.lightstreamer.adapters.remote.SchemaException;
import com.lightstreamer.adapters.remote.SubscriptionStatistics;
import com.lightstreamer.adapters.remote.TableInfo;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** The Metadata Adapter. */
final class Metadata extends MetadataProviderAdapter {
  private volatile MetadataControlListener control;
  private final Map<String, TableInfo> first = new ConcurrentHashMap<>();
  private String conflict;

  @Override public void init(Map<String, String> parameters, String configFile) throws MetadataProviderException {
    Json.tell("initMetadata", "params", parameters);
    if ("metadata".equals(parameters.get("remote:refuse"))) {
      throw new MetadataProviderException("metadata init refused");
    }
  }

  @Override public void setListener(MetadataControlListener listener) {
    control = listener;
  }

  @Override public void notifyUser(String user, String password, Map<String, String> headers) throws AccessException, CreditsException {
    Json.tell("notifyUser", "user", user, "password", password, "headers", headers);
    switch (String.valueOf(user)) {
      case "refused" -> throw new AccessException("wrong password");
      case "credits" -> throw new CreditsException(-12, "no credit", "pay + try|again");
      case "resource" -> throw new ResourceUnavailableException("busy");
      case "broken" -> throw new IllegalStateException("boom");
      default -> { }
    }
  }

  @Override public void notifyUser(String user, String password, Map<String, String> headers, String principal) {
    Json.tell("notifyUserAuth", "user", user, "password", password, "headers", headers, "principal", principal);
  }

  @Override public double getAllowedMaxBandwidth(String user) {
    return "slow".equals(user) ? 12.5 : 0;
  }

  @Override public boolean wantsTablesNotification(String user) {
    return !"quiet".equals(user);
  }

  @Override public void notifyNewSession(String user, String session, Map<String, String> context) throws CreditsException, NotificationException {
    Json.tell("newSession", "user", user, "session", session, "context", context);
    switch (String.valueOf(user)) {
      case "nosession" -> throw new CreditsException(-20, "no session", "not now");
      case "inconsistent" -> throw new NotificationException("inconsistent");
      case "conflict" -> conflict(session);
      default -> { }
    }
  }

  private synchronized void conflict(String session) throws CreditsException {
    String earlier = conflict;
    conflict = earlier == null ? session : null;
    if (earlier != null) {
      throw new ConflictingSessionException(-30, "two", "one at a time", earlier);
    }
  }

  @Override public int getSessionTimeToLive(String user, String session) {
    return "brief".equals(user) ? 1 : 0;
  }

  @Override public void notifySessionClose(String session) {
    Json.tell("sessionClose", "session", session);
    first.remove(session);
  }

  @Override public String[] getItems(String user, String session, String group) throws ItemsException {
    Json.tell("items", "user", user, "session", session, "group", group);
    return switch (group) {
      case "badgroup" -> throw new ItemsException("bad group");
      case "brokengroup" -> throw new IllegalStateException("boom");
      case "nogroup" -> new String[0];
      default -> group.split(" ");
    };
  }

  @Override public String[] getSchema(String user, String session, String group, String schema) throws ItemsException, SchemaException {
    Json.tell("schema", "user", user, "session", session, "group", group, "schema", schema);
    return switch (schema) {
      case "badschema" -> throw new SchemaException("bad schema");
      case "badgroupschema" -> throw new ItemsException("bad group for schema");
      default -> schema.split(" ");
    };
  }

  @Override public boolean modeMayBeAllowed(String item, Mode mode) {
    return !item.equals("mergeonly") || mode.equals(Mode.MERGE);
  }

  @Override public boolean isModeAllowed(String user, String item, Mode mode) {
    return !item.equals("secret") || !"guest".equals(user);
  }

  @Override public int getDistinctSnapshotLength(String item) {
    return item.equals("distinct") ? 2 : 0;
  }

  @Override public double getMinSourceFrequency(String item) {
    return item.equals("slowsource") ? 0.5 : 0;
  }

  @Override public double getAllowedMaxItemFrequency(String user, String item) {
    return item.equals("limited") ? 2 : 0;
  }

  @Override public int getAllowedBufferSize(String user, String item) {
    return item.equals("buffered") ? 3 : 0;
  }

  @Override public void notifyUserMessage(String user, String session, String message) throws CreditsException, NotificationException {
    Json.tell("message", "user", user, "session", session, "message", message);
    switch (message) {
      case "terminate" -> control.forceSessionTermination(session, -7, "bye | now");
      case "end" -> control.forceSessionTermination(session);
      case "unsubscribe" -> control.forceUnsubscription(session, first.get(session))
          .whenComplete((done, e) -> Json.tell("unsubscribed", "done", done, "error", e == null ? null : e.toString()));
      default -> judge(message, -123, "test error");
    }
  }

  private static void judge(String text, int code, String userMessage) throws CreditsException, NotificationException {
    switch (String.valueOf(text)) {
      case "credits" -> throw new CreditsException(code, "not allowed", userMessage);
      case "inconsistent" -> throw new NotificationException("inconsistent");
      case "broken" -> throw new IllegalStateException("boom");
      default -> { }
    }
  }

  private static List<Object> tables(TableInfo... infos) {
    List<Object> list = new ArrayList<>();
    for (TableInfo t : infos) {
      List<Object> stats = null;
      if (t.getSubscriptionStatistics() != null) {
        stats = new ArrayList<>();
        for (SubscriptionStatistics s : t.getSubscriptionStatistics()) {
          stats.add(Arrays.asList(s.getTotRealTime(), s.getTotLost(), s.getTotFiltered()));
        }
      }
      list.add(Json.map("win", t.getWinIndex(), "mode", t.getMode().toString(), "group", t.getId(), "schema", t.getSchema(),
          "min", t.getMin(), "max", t.getMax(), "selector", t.getSelector(), "dataAdapter", t.getDataAdapter(),
          "items", Arrays.asList(t.getSubscribedItems()), "stats", stats));
    }
    return list;
  }

  @Override public void notifyNewTables(String user, String session, TableInfo[] infos) throws CreditsException, NotificationException {
    Json.tell("newTables", "user", user, "session", session, "tables", tables(infos));
    judge(infos[0].getSelector(), -40, "no table");
    first.putIfAbsent(session, infos[0]);
  }

  @Override public boolean enableTableUnsubscription(String session, TableInfo[] infos) {
    return true;
  }

  @Override public boolean wantsFinalTableStatistics(String session, TableInfo[] infos) {
    return true;
  }

  @Override public void notifyTablesClose(String session, TableInfo[] infos) {
    Json.tell("tablesClose", "session", session, "tables", tables(infos));
  }

  @Override public void notifyMpnDeviceAccess(String user, String session, MpnDeviceInfo device) throws CreditsException, NotificationException {
    Json.tell("mpnDevice", "user", user, "session", session, "platform", device.getType().getName(), "app", device.getApplicationId(),
        "token", device.getDeviceToken());
    judge(device.getApplicationId(), -50, "no push");
  }

  @Override public void notifyMpnSubscriptionActivation(String user, String session, TableInfo table, MpnSubscriptionInfo subscription)
      throws CreditsException, NotificationException {
    Json.tell("mpnActivation", "user", user, "session", session, "table", tables(table).get(0),
        "app", subscription.getDevice().getApplicationId(), "trigger", subscription.getTrigger(), "format", subscription.getNotificationFormat());
    judge(subscription.getDevice().getApplicationId(), -50, "no push");
  }

  @Override public void notifyMpnDeviceTokenChange(String user, String session, MpnDeviceInfo device, String newToken)
      throws CreditsException, NotificationException {
    Json.tell("mpnToken", "user", user, "session", session, "app", device.getApplicationId(), "token", device.getDeviceToken(), "newToken", newToken);
    judge(device.getApplicationId(), -50, "no push");
  }
}
