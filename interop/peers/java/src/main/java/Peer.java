import com.lightstreamer.adapters.remote.DataProviderServer;
import com.lightstreamer.adapters.remote.ExceptionHandler;
import com.lightstreamer.adapters.remote.MetadataProviderServer;
import com.lightstreamer.adapters.remote.RemotingException;
import com.lightstreamer.adapters.remote.Server;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Map;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/** The peer of the interoperability lab, written with the official Java SDK. See ../README.md. */
public class Peer {
  public static void main(String[] args) throws Exception {
    Map<String, Object> config = Json.parse(args[0]);
    if (config.containsKey("keepalive")) {
      System.setProperty("lightstreamer.keepalive.millis", Long.toString((Long) config.get("keepalive")));
    }
    if (config.containsKey("metadata")) {
      MetadataProviderServer server = new MetadataProviderServer();
      server.setAdapter(new Metadata());
      start(server, "metadata", config);
    }
    if (config.containsKey("data")) {
      DataProviderServer server = new DataProviderServer();
      server.setAdapter(new Data());
      start(server, "data", config);
    }
    Thread.currentThread().join();
  }

  private static void start(Server server, String name, Map<String, Object> config) throws Exception {
    java.util.List<?> address = (java.util.List<?>) config.get(name);
    Socket socket = connect((String) address.get(0), ((Long) address.get(1)).intValue(), (String) config.get("ca"));
    server.setName(name);
    server.setRequestStream(socket.getInputStream());
    server.setReplyStream(socket.getOutputStream());
    server.setRemoteUser((String) config.get("user"));
    server.setRemotePassword((String) config.get("password"));
    server.setExceptionHandler(new ExceptionHandler() {
      // The SDK's own handling of a lost connection is to end the process. What the proxy says with CLOSE comes as an
      // exception, after which the server is of no use: the process ends, too.
      @Override public boolean handleIOException(IOException e) {
        Json.tell("lost", "reason", String.valueOf(e.getMessage()));
        return true;
      }

      @Override public boolean handleException(RemotingException e) {
        Json.tell("lost", "reason", String.valueOf(e.getMessage()));
        Runtime.getRuntime().halt(1);
        return false;
      }
    });
    server.start();
  }

  private static Socket connect(String host, int port, String ca) throws Exception {
    if (ca == null) {
      return new Socket(host, port);
    }
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null);
    try (InputStream in = new FileInputStream(ca)) {
      store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
    }
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    SSLContext tls = SSLContext.getInstance("TLS");
    tls.init(null, trust.getTrustManagers(), null);
    SSLSocket socket = (SSLSocket) tls.getSocketFactory().createSocket(host, port);
    socket.startHandshake();
    return socket;
  }
}
