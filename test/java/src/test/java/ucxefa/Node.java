package ucxefa;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.openucx.jucx.ucp.UcpContext;
import org.openucx.jucx.ucp.UcpEndpoint;
import org.openucx.jucx.ucp.UcpEndpointParams;
import org.openucx.jucx.ucp.UcpParams;
import org.openucx.jucx.ucp.UcpRequest;
import org.openucx.jucx.ucp.UcpWorker;
import org.openucx.jucx.ucp.UcpWorkerParams;
import org.openucx.jucx.ucs.UcsConstants;

/**
 * One side of a test: a context, its worker and the endpoints to other sides.
 * Whatever is waited for, the worker makes progress, and comes or is an error
 * after DEADLINE.
 *
 * The bytes of the test, that have to be seen on the transport, are written to
 * the file that JUCX_PAYLOAD names.
 */
final class Node implements AutoCloseable {
    private static final long DEADLINE_MS = 600_000;
    /** Calls without progress, after which others may run. */
    private static final int SPINS = 500;

    final UcpContext context;
    final UcpWorker worker;
    private final List<UcpEndpoint> endpoints = new ArrayList<>();
    private long payload;
    /** The status that the error handler was called with; 0: it was not. */
    volatile int failure;

    Node() {
        this(params());
    }

    Node(UcpParams params) {
        this(params, new UcpWorkerParams());
    }

    Node(UcpParams params, UcpWorkerParams workerParams) {
        context = new UcpContext(params);
        worker = context.newWorker(workerParams);
    }

    static UcpParams params() {
        return new UcpParams().requestTagFeature().requestAmFeature()
            .requestRmaFeature().requestStreamFeature();
    }

    static String hex(ByteBuffer bytes) {
        StringBuilder text = new StringBuilder();

        for (ByteBuffer from = bytes.duplicate(); from.hasRemaining(); ) {
            text.append(String.format("%02x", from.get()));
        }
        return text.toString();
    }

    static ByteBuffer bytes(String hex) {
        ByteBuffer to = ByteBuffer.allocateDirect(hex.length() / 2);

        for (int i = 0; i < hex.length(); i += 2) {
            to.put((byte)Integer.parseInt(hex.substring(i, i + 2), 16));
        }
        to.flip();
        return to;
    }

    String address() {
        return hex(worker.getAddress());
    }

    UcpEndpoint connect(String address) {
        return connect(new UcpEndpointParams().setUcpAddress(bytes(address)));
    }

    UcpEndpoint connect(UcpEndpointParams params) {
        UcpEndpoint endpoint = worker.newEndpoint(
            params.setPeerErrorHandlingMode()
            .setErrorHandler((ep, status, message) -> failure = status));

        endpoints.add(endpoint);
        return endpoint;
    }

    /** Addresses there and back. */
    UcpEndpoint exchange(Lines lines) {
        lines.say(address());
        return connect(hear(lines));
    }

    void await(BooleanSupplier done, String what) {
        long end = System.currentTimeMillis() + DEADLINE_MS;
        int idle = 0;

        while (!done.getAsBoolean()) {
            try {
                if (worker.progress() == 0 && ++idle % SPINS == 0) {
                    Peer.checkAll();
                    Thread.yield();
                }
            } catch (Exception e) {
                throw new AssertionError(what, e);
            }
            if (Lines.orphan || System.currentTimeMillis() > end) {
                throw new AssertionError("never came: " + what);
            }
        }
    }

    /** The request's status. */
    int status(UcpRequest request, String what) {
        await(request::isCompleted, what);
        return request.getStatus();
    }

    /** The request, which has to succeed. */
    UcpRequest complete(UcpRequest request, String what) {
        int status = status(request, what);

        if (status != UcsConstants.STATUS.UCS_OK) {
            throw new AssertionError(what + ": status " + status);
        }
        return request;
    }

    String hear(Lines lines) {
        String[] line = new String[1];

        await(() -> (line[0] = lines.poll()) != null, "a line");
        if (line[0].equals(Lines.END)) {
            throw new AssertionError("the other JVM ended");
        }
        return line[0];
    }

    void expect(Lines lines, String line) {
        String heard = hear(lines);

        if (!heard.equals(line)) {
            throw new AssertionError("heard '" + heard + "', not " + line);
        }
    }

    /** Bytes that arrived by the transport, each counted by one side. */
    void count(long bytes) {
        payload += bytes;
    }

    void closed(UcpRequest closing, UcpEndpoint endpoint) {
        await(closing::isCompleted, "the endpoint closes");
        endpoints.remove(endpoint);
    }

    @Override
    public void close() {
        for (UcpEndpoint endpoint : new ArrayList<>(endpoints)) {
            closed(failure == 0 ? endpoint.closeNonBlockingFlush() :
                                  endpoint.closeNonBlockingForce(), endpoint);
        }
        worker.close();
        context.close();

        String file = System.getenv("JUCX_PAYLOAD");
        if (file != null) {
            try {
                Files.write(Path.of(file),
                            (payload + "\n")
                            .getBytes(StandardCharsets.UTF_8),
                            StandardOpenOption.CREATE,
                            StandardOpenOption.APPEND);
            } catch (IOException e) {
                throw new AssertionError(file, e);
            }
        }
    }
}
