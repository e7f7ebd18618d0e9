package ucxefa;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * Lines between the two JVMs of a test, by standard input and output of the
 * second. They begin with a mark: whatever else is there, as UCX's log, is shown.
 */
final class Lines {
    private static final String MARK = "> ";
    /** What is heard when the other side is gone. */
    static final String END = "end of lines";

    /** The JVM that started this one is gone. */
    static volatile boolean orphan;

    private final LinkedBlockingQueue<String> heard =
        new LinkedBlockingQueue<>();
    private final PrintStream out;

    Lines(InputStream in, OutputStream out) {
        this.out = new PrintStream(out, true, StandardCharsets.UTF_8);

        Thread reader = new Thread(() -> read(in), "lines");
        reader.setDaemon(true);
        reader.start();
    }

    private void read(InputStream in) {
        try (BufferedReader reader = new BufferedReader(
                 new InputStreamReader(in, StandardCharsets.UTF_8))) {
            String line;

            while ((line = reader.readLine()) != null) {
                int mark = line.indexOf(MARK);

                // the log may have begun the line
                if (mark >= 0) {
                    heard.add(line.substring(mark + MARK.length()));
                } else {
                    System.err.println("    peer: " + line);
                }
            }
        } catch (IOException e) {
            // the process was killed
        }
        if (in == System.in) {
            orphan = true;
        }
        heard.add(END);
    }

    void say(Object line) {
        out.println(MARK + line);
    }

    /** The next line, null if there is none yet. */
    String poll() {
        return heard.poll();
    }
}
