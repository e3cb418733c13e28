import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.Socket;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

import com.lightstreamer.adapters.remote.DataProvider;
import com.lightstreamer.adapters.remote.DataProviderServer;
import com.lightstreamer.adapters.remote.ItemEventListener;
import com.lightstreamer.adapters.remote.MetadataProviderAdapter;
import com.lightstreamer.adapters.remote.MetadataProviderServer;
import com.lightstreamer.adapters.remote.Server;

/** Benchmark adapter over the official Java SDK: the contract of the benchmark's README. */
public class BenchAdapter {

    static final String SCENARIO = env("SCENARIO", "");
    static final int ITEMS = Integer.parseInt(env("ITEMS", "0"));
    static final int HOT = env("HOT", "0").equals("0") ? ITEMS : Integer.parseInt(env("HOT", "0"));
    static final int THREADS = Integer.parseInt(env("THREADS", "1"));
    static final int RATE = Integer.parseInt(env("RATE", "0"));
    static final long INFLIGHT = Long.parseLong(env("INFLIGHT", "0"));
    static final long SEQ_BASE = 1000000000;
    static final int BATCH = (int) Math.min(64, Math.max(1, INFLIGHT / 8));
    static final String SHAPE = env("SHAPE", "");
    static final String[][] ROWS = new String[64][];
    /** The fields beyond the eight of the plain shape. */
    static final String[] MORE = SHAPE.equals("large") ? new String[] { "big" } : new String[SHAPE.equals("wide") ? 192 : 0];

    static {
        String tail = SHAPE.equals("escape") ? "|+%\r\n" : "";
        String big = SHAPE.equals("large") ? "0123456789abcdef".repeat(65536) : null;
        for (int r = 0; r < 64; r++) {
            String rr = String.format("%02d", r);
            String[] row = new String[6 + MORE.length];
            String[] six = { "1234.567" + rr, "12:34:" + rr + ".0", "1234.566" + rr, "1234.568" + rr, "10000000" + rr, "20000000" + rr };
            for (int k = 0; k < six.length; k++) {
                row[k] = six[k] + tail;
            }
            for (int k = 0; k < MORE.length; k++) {
                if (big == null) {
                    MORE[k] = String.format("f%03d", 8 + k);
                }
                row[6 + k] = big != null ? big : MORE[k].substring(1) + "." + rr;
            }
            ROWS[r] = row;
        }
    }

    static String env(String name, String def) {
        String v = System.getenv(name);
        return v == null || v.isEmpty() ? def : v;
    }

    static class Credit {
        private long taken, limit = INFLIGHT;
        private boolean stopped;

        Credit() {
            Thread t = new Thread(() -> {
                try (BufferedReader in = new BufferedReader(new InputStreamReader(System.in))) {
                    for (String l; (l = in.readLine()) != null;) {
                        synchronized (this) {
                            limit = Long.parseLong(l) + INFLIGHT;
                            notifyAll();
                        }
                    }
                } catch (IOException e) {
                }
            });
            t.setDaemon(true);
            t.start();
        }

        synchronized void take(int n) throws InterruptedException {
            while (taken + n > limit && !stopped) {
                wait();
            }
            taken += n;
        }

        synchronized void stop() {
            stopped = true;
            notifyAll();
        }
    }

    static class Data implements DataProvider {
        private ItemEventListener listener;
        private final List<String> items = new ArrayList<>();
        private final List<Thread> threads = new ArrayList<>();
        private final AtomicLong produced = new AtomicLong();
        private final Credit credit = SCENARIO.equals("CREDIT") ? new Credit() : null;
        private volatile boolean stop;

        public void init(Map<String, String> parameters, String configFile) {
        }

        public void setListener(ItemEventListener l) {
            listener = l;
        }

        public boolean isSnapshotAvailable(String item) {
            return true;
        }

        public void subscribe(String item) {
            if (SCENARIO.equals("STORM")) {
                return;
            }
            if (SCENARIO.equals("FIRST")) {
                send(item, SEQ_BASE + 1, Long.toString(System.nanoTime()));
                return;
            }
            synchronized (items) {
                items.add(item);
                if (items.size() != ITEMS) {
                    return;
                }
                for (int t = 0; t < THREADS; t++) {
                    List<String> own = new ArrayList<>();
                    for (int i = t; i < HOT; i += THREADS) {
                        own.add(items.get(i));
                    }
                    String[] mine = own.toArray(new String[0]);
                    threads.add(new Thread(() -> {
                        try {
                            produce(mine);
                        } catch (InterruptedException e) {
                        }
                    }));
                }
                threads.forEach(Thread::start);
            }
        }

        public void unsubscribe(String item) {
            if (SCENARIO.equals("STORM") || SCENARIO.equals("FIRST")) {
                return;
            }
            synchronized (items) {
                if (stop) {
                    return;
                }
                stop = true;
            }
            if (credit != null) {
                credit.stop();
            }
            for (Thread t : threads) {
                try {
                    t.join();
                } catch (InterruptedException e) {
                }
            }
            System.out.println("PRODUCED " + produced.get());
        }

        private void send(String item, long seq, String ts) {
            String[] r = ROWS[(int) (seq & 63)];
            Map<String, String> event = new HashMap<>(16 + 2 * MORE.length);
            event.put("seq", Long.toString(seq));
            event.put("ts", ts);
            event.put("last", r[0]);
            event.put("time", r[1]);
            event.put("bid", r[2]);
            event.put("ask", r[3]);
            event.put("bidqty", r[4]);
            event.put("askqty", r[5]);
            for (int k = 0; k < MORE.length; k++) {
                event.put(MORE[k], r[6 + k]);
            }
            listener.update(item, event, false);
        }

        private void produce(String[] own) throws InterruptedException {
            long[] seqs = new long[own.length];
            long n = 0;
            if (SCENARIO.equals("LATENCY")) {
                long start = System.nanoTime();
                for (int i = 0; !stop; LockSupport.parkNanos(1000000)) {
                    for (long due = (System.nanoTime() - start) * RATE / 1000000000; n < due; n++) {
                        send(own[i], SEQ_BASE + ++seqs[i], Long.toString(System.nanoTime()));
                        i = i + 1 == own.length ? 0 : i + 1;
                    }
                }
                return;
            }
            String ts = "";
            outer: while (true) {
                for (int i = 0; i < own.length; i++) {
                    if (credit != null && n % BATCH == 0) {
                        credit.take(BATCH);
                    }
                    if (stop) {
                        break outer;
                    }
                    if (n % 64 == 0) {
                        ts = Long.toString(System.nanoTime());
                    }
                    send(own[i], SEQ_BASE + ++seqs[i], ts);
                    n++;
                }
            }
            produced.addAndGet(n);
        }
    }

    static class Metadata extends MetadataProviderAdapter {
        @Override
        public String[] getItems(String user, String sessionID, String group) {
            return group.split(" ");
        }

        @Override
        public String[] getSchema(String user, String sessionID, String group, String schema) {
            return schema.split(" ");
        }
    }

    public static void main(String[] args) throws Exception {
        Socket socket = new Socket(System.getenv("ARI_HOST"), Integer.parseInt(System.getenv("ARI_PORT")));
        if (env("NODELAY", "").equals("1")) {
            socket.setTcpNoDelay(true);
        }
        Server server;
        if (System.getenv("ARI_KIND").equals("data")) {
            DataProviderServer s = new DataProviderServer();
            s.setAdapter(new Data());
            server = s;
        } else {
            MetadataProviderServer s = new MetadataProviderServer();
            s.setAdapter(new Metadata());
            server = s;
        }
        server.setRequestStream(socket.getInputStream());
        server.setReplyStream(socket.getOutputStream());
        server.start();
        // The SDK ends the process by itself when the connection is lost.
    }
}
