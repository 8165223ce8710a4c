// SPDX-License-Identifier: BSD-2-Clause
// java Client.java: for each line of input, GET / from an instance of "web", and the reply.
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Hashtable;
import java.util.List;
import javax.naming.NameNotFoundException;
import javax.naming.NamingException;
import javax.naming.directory.Attribute;
import javax.naming.directory.InitialDirContext;

class Client {
    static final String SERVICE = "_web._tcp.service.local";
    static final long KEEP_NS = 1_000_000_000; // less than the TTL, which JNDI does not tell

    record Instance(int priority, int weight, String address, int port) {}

    private final Hashtable<String, String> dns = new Hashtable<>();
    private final HttpClient http = HttpClient.newBuilder()
        .connectTimeout(Duration.ofSeconds(2)).build();
    private List<Instance> known = List.of(); // what DNS said last, used on while it says nothing
    private long askedAt = System.nanoTime() - KEEP_NS;

    Client() {
        dns.put("java.naming.factory.initial", "com.sun.jndi.dns.DnsContextFactory");
        dns.put("java.naming.provider.url", "dns://127.0.0.1:8600"); // "dns:": as resolv.conf says
        dns.put("com.sun.jndi.dns.timeout.initial", "1000");
        dns.put("com.sun.jndi.dns.timeout.retries", "2");
    }

    private List<Instance> lookup() throws NamingException {
        InitialDirContext context = new InitialDirContext(dns);
        try {
            List<Instance> found = new ArrayList<>();
            Attribute records = context.getAttributes(SERVICE, new String[] {"SRV"}).get("SRV");
            for (int i = 0; records != null && i < records.size(); i++) {
                // "10 100 8080 a.web.service.local."
                String[] fields = ((String) records.get(i)).split(" ");
                Attribute addresses = context.getAttributes(fields[3], new String[] {"A"}).get("A");
                if (addresses != null)
                    found.add(new Instance(Integer.parseInt(fields[0]), Integer.parseInt(fields[1]),
                                           (String) addresses.get(), Integer.parseInt(fields[2])));
            }
            return found;
        } catch (NameNotFoundException none) {
            return List.of();
        } finally {
            context.close();
        }
    }

    private List<Instance> instances() {
        if (System.nanoTime() - askedAt >= KEEP_NS) {
            try {
                known = lookup();
            } catch (NamingException failure) {
                // SERVFAIL, or no answer at all
            }
            askedAt = System.nanoTime();
        }
        return new ArrayList<>(known);
    }

    // RFC 2782: the lowest priority first, and among equals a draw by weight.
    private static Instance draw(List<Instance> instances) {
        int priority = instances.stream().mapToInt(Instance::priority).min().getAsInt();
        List<Instance> tier = instances.stream().filter(i -> i.priority == priority).toList();
        double left = Math.random() * tier.stream().mapToInt(Instance::weight).sum();
        for (Instance instance : tier)
            if ((left -= instance.weight) < 0)
                return instance;
        return tier.get(0);
    }

    // Tries one instance after the other: one that cannot be reached costs no request.
    String get(String path) throws IOException, InterruptedException {
        IOException failure = new IOException("no instance of " + SERVICE);
        List<Instance> rest = instances();
        while (!rest.isEmpty()) {
            Instance instance = draw(rest);
            URI uri = URI.create("http://" + instance.address + ":" + instance.port + path);
            try {
                return http.send(HttpRequest.newBuilder(uri).timeout(Duration.ofSeconds(5)).build(),
                                 BodyHandlers.ofString()).body();
            } catch (IOException error) {
                failure = error;
                rest.remove(instance);
            }
        }
        throw failure;
    }

    public static void main(String[] arguments) throws Exception {
        Client client = new Client();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        while (lines.readLine() != null) {
            try {
                System.out.println(client.get("/").strip());
            } catch (IOException error) {
                System.out.println("error: " + error);
            }
        }
    }
}
