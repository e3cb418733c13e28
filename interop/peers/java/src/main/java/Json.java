import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** As much of JSON as the lab needs. */
final class Json {
  private final String text;
  private int at;

  private Json(String text) {
    this.text = text;
  }

  /** Prints a call of the adapter: names and values in turn. */
  static void tell(String call, Object... args) {
    Map<String, Object> map = map(args);
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("call", call);
    line.putAll(map);
    StringBuilder out = new StringBuilder();
    write(out, line);
    synchronized (System.out) {
      System.out.println(out);
      System.out.flush();
    }
  }

  static Map<String, Object> map(Object... args) {
    Map<String, Object> map = new LinkedHashMap<>();
    for (int i = 0; i < args.length; i += 2) {
      map.put((String) args[i], args[i + 1]);
    }
    return map;
  }

  private static void write(StringBuilder out, Object value) {
    if (value == null || value instanceof Number || value instanceof Boolean) {
      out.append(value);
    } else if (value instanceof Map<?, ?> map) {
      String sep = "{";
      for (Map.Entry<?, ?> e : map.entrySet()) {
        out.append(sep);
        write(out, String.valueOf(e.getKey()));
        out.append(':');
        write(out, e.getValue());
        sep = ",";
      }
      out.append(sep.equals("{") ? "{}" : "}");
    } else if (value instanceof List<?> list) {
      String sep = "[";
      for (Object e : list) {
        out.append(sep);
        write(out, e);
        sep = ",";
      }
      out.append(sep.equals("[") ? "[]" : "]");
    } else {
      out.append('"');
      for (char c : value.toString().toCharArray()) {
        if (c == '"' || c == '\\') {
          out.append('\\').append(c);
        } else if (c < ' ' || c > '~') {
          out.append(String.format("\\u%04x", (int) c));
        } else {
          out.append(c);
        }
      }
      out.append('"');
    }
  }

  static Map<String, Object> parse(String text) {
    @SuppressWarnings("unchecked")
    Map<String, Object> map = (Map<String, Object>) new Json(text).value();
    return map;
  }

  private Object value() {
    char c = text.charAt(at);
    if (c == '{') {
      Map<String, Object> map = new LinkedHashMap<>();
      for (at++; text.charAt(at) != '}';) {
        String key = string();
        at++; // :
        map.put(key, value());
        if (text.charAt(at) == ',') {
          at++;
        }
      }
      at++;
      return map;
    }
    if (c == '[') {
      List<Object> list = new ArrayList<>();
      for (at++; text.charAt(at) != ']';) {
        list.add(value());
        if (text.charAt(at) == ',') {
          at++;
        }
      }
      at++;
      return list;
    }
    if (c == '"') {
      return string();
    }
    int start = at;
    while (at < text.length() && "-0123456789".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
    return Long.valueOf(text.substring(start, at));
  }

  private String string() {
    StringBuilder out = new StringBuilder();
    for (at++; text.charAt(at) != '"'; at++) {
      char c = text.charAt(at);
      out.append(c == '\\' ? text.charAt(++at) : c);
    }
    at++;
    return out.toString();
  }
}
