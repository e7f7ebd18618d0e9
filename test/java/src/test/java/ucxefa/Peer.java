package ucxefa;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;

/**
 * The second JVM of a test, with the same environment and so the same
 * transports: its main() runs a Role.
 */
final class Peer implements AutoCloseable {
    /** What the second JVM does. */
    interface Role {
        void run(Lines lines, String[] args);
    }

    /** Those of the tests of this JVM that are to live, or to end well. */
    private static final List<Peer> LIVING = new CopyOnWriteArrayList<>();

    private final Process process;
    final Lines lines;

    Peer(Class<? extends Role> role, String... args) {
        List<String> command = new ArrayList<>(List.of(
            System.getProperty("java.home") + "/bin/java", "-cp",
            System.getProperty("java.class.path"), Peer.class.getName(),
            role.getName()));

        command.addAll(Arrays.asList(args));
        try {
            process = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT).start();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
        lines = new Lines(process.getInputStream(), process.getOutputStream());
        LIVING.add(this);
    }

    /** Throws if one ended with an error: nothing will come of it. */
    static void checkAll() {
        for (Peer peer : LIVING) {
            if (!peer.process.isAlive() && peer.process.exitValue() != 0) {
                LIVING.remove(peer);
                throw new AssertionError("another JVM ended with " +
                                         peer.process.exitValue());
            }
        }
    }

    /** As by kill -9. */
    void kill() {
        LIVING.remove(this);
        process.destroyForcibly();
        try {
            process.waitFor();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    /** To its end, which has to be a good one. */
    void join(Node progress) {
        progress.await(() -> !process.isAlive(), "the other JVM ends");
        checkAll();
    }

    @Override
    public void close() {
        LIVING.remove(this);
        process.destroy();
        try {
            if (!process.waitFor(30, TimeUnit.SECONDS)) {
                kill();
            }
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    public static void main(String[] args) throws Exception {
        Role role = Class.forName(args[0]).asSubclass(Role.class)
            .getDeclaredConstructor().newInstance();
        int status = 1;

        try {
            role.run(new Lines(System.in, System.out),
                     Arrays.copyOfRange(args, 1, args.length));
            status = 0;
        } catch (Throwable e) {
            e.printStackTrace();
        }
        // the thread that reads lines is not waited for
        System.exit(status);
    }
}
