# Latency and bandwidth over the size of a message, as SVG (after
# bench-median.awk). Both axes are logarithmic; a line is labelled at its end.
#
#   +-----------------------+  labels  +-----------------------+  labels
#   | latency (panel 1)     |          | bandwidth (panel 2)   |
#   +-----------------------+          +-----------------------+
#     8 B    ...    4 MB                 8 B    ...    4 MB
#
# It has a background of its own, dark where the viewer prefers that, so that it
# can be read in a page of any colour. Plain awk: style sheets, which this needs,
# are not to be had of the usual plotting tools.

# Whole powers of ten around what is shown
function decades(what, panel,    i, k, v) {
    low[panel] = 1e9
    high[panel] = 1e-9
    for (i = 1; i <= series; i++)
        for (k = 1; k <= sizes; k++) {
            v = median(name[i] "_" what "," size[k])
            if (v > 0 && v < low[panel])
                low[panel] = v
            if (v > high[panel])
                high[panel] = v
        }
    low[panel] = floor(log10(low[panel]))
    high[panel] = -floor(-log10(high[panel]))
    if (high[panel] <= low[panel])
        high[panel] = low[panel] + 1
}

function log10(x) { return log(x) / log(10) }

function floor(x) { return int(x) - (x < int(x)) }

function x_of(panel, bytes) {
    return left[panel] + (log(bytes) - log(8)) / (log(4194304) - log(8)) * width
}

function y_of(panel, v) {
    v = (log10(v) - low[panel]) / (high[panel] - low[panel])
    return top + height - v * height
}

# 0.1, 1, 10 000
function tick(v) {
    return v >= 10000 ? sprintf("%d&#8239;%03d", v / 1000, v % 1000) : v ""
}

function axes(panel, title,    e, m, k, y, x, bytes) {
    printf "<text class=\"title\" x=\"%d\" y=\"%d\">%s</text>\n", left[panel],
           top - 16, title
    for (e = low[panel]; e <= high[panel]; e++) {
        y = y_of(panel, 10 ^ e)
        printf "<path class=\"grid\" d=\"M%.1f %.1fh%d\"/>\n", left[panel], y,
               width
        printf "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" " \
               "text-anchor=\"end\">%s</text>\n", left[panel] - 8, y + 4,
               tick(10 ^ e)
        for (m = 2; m <= 9 && e < high[panel]; m++)
            printf "<path class=\"minor\" d=\"M%.1f %.1fh%d\"/>\n", left[panel],
                   y_of(panel, m * 10 ^ e), width
    }
    for (bytes = 8; bytes < 2097152; bytes *= 8) {
        x = x_of(panel, bytes)
        printf "<path class=\"minor\" d=\"M%.1f %.1fv%d\"/>\n", x, top, height
        printf "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" " \
               "text-anchor=\"middle\">%s</text>\n", x, top + height + 20,
               human(bytes)
    }
    x = x_of(panel, 4194304)
    printf "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" " \
           "text-anchor=\"middle\">4 MB</text>\n", x, top + height + 20
}

# One that ends within the panel, where the other lines rise: its label stands on
# the side that they leave free
function short_line(panel, i, x, y) {
    printf "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>\n",
           name[i], x, y
    printf "<text class=\"label %s\" x=\"%.1f\" y=\"%.1f\" " \
           "text-anchor=\"%s\">%s</text>\n", name[i],
           panel == 1 ? x + 9 : x - 9, panel == 1 ? y + 15 : y - 7,
           panel == 1 ? "start" : "end", label[i]
}

# Lines, then their labels from top to bottom, pushed apart where they would
# touch
function lines(panel, what,    i, j, k, v, x, y, d, n, t, place, at, room) {
    n = 0
    for (i = 1; i <= series; i++) {
        d = ""
        for (k = 1; k <= sizes; k++) {
            v = median(name[i] "_" what "," size[k])
            if (v <= 0)
                continue
            x = x_of(panel, size[k])
            y = y_of(panel, v)
            d = d sprintf("%s%.1f %.1f", d == "" ? "M" : "L", x, y)
            end_y[i] = y
        }
        if (d == "")
            continue
        printf "<path class=\"line %s\" d=\"%s\"/>\n", name[i], d
        if (label[i] == "")
            continue
        if (x < left[panel] + width - 1) {
            short_line(panel, i, x, y)
            continue
        }
        for (j = ++n; j > 1 && end_y[place[j - 1]] > end_y[i]; j--)
            place[j] = place[j - 1]
        place[j] = i
    }
    room = 16
    for (j = 1; j <= n; j++) {
        at[j] = end_y[place[j]]
        if (j > 1 && at[j] < at[j - 1] + room)
            at[j] = at[j - 1] + room
    }
    # back into the panel, from below
    for (j = n; j >= 1; j--) {
        t = (j == n ? top + height : at[j + 1] - room)
        if (at[j] > t)
            at[j] = t
    }
    for (j = 1; j <= n; j++) {
        i = place[j]
        x = left[panel] + width
        printf "<path class=\"leader %s\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n",
               name[i], x + 4, end_y[i], x + 12, at[j]
        printf "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>\n",
               name[i], x, end_y[i]
        printf "<text class=\"label %s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
               name[i], x + 16, at[j] + 4, label[i]
    }
}

# No variables: not all that shows SVG knows them
function colour(id, c) {
    return sprintf(".line.%s,.leader.%s{stroke:%s}.dot.%s,.label.%s{fill:%s}\n",
                   id, id, c, id, id, c)
}

function theme(back, text, weak, grid, minor) {
    printf ".back{fill:%s}.title{fill:%s}text{fill:%s}.grid{stroke:%s}" \
           ".minor{stroke:%s}\n", back, text, weak, grid, minor
}

function add(id, text, light, dark, style) {
    name[++series] = id
    label[series] = text
    css = css colour(id, light) (style == "" ? "" : \
          sprintf(".%s.line{%s}\n", id, style))
    css_dark = css_dark colour(id, dark)
}

function note(row, text) {
    printf "<text x=\"%d\" y=\"%d\">%s</text>\n", left[1],
           top + height + 32 + 17 * row, text
}

END {
    add("tcp", "UCX tcp", "#8a5fb0", "#b794d8", "")
    add("libfabric", "libfabric", "#0b6fb8", "#5fb4f2", "")
    add("shm", "UCX posix", "#0a8a62", "#3fc99a", "")
    add("verbs_read", "raw verbs", "#6b7078", "#a6adb8",
        "stroke-dasharray:2 4")
    add("verbs", "", "#6b7078", "#a6adb8", "stroke-dasharray:6 4")
    add("uct", "srd, UCT", "#d08700", "#f0b23c", "")
    add("ucp", "srd, UCP", "#d1451b", "#ff7f50", "stroke-width:3")

    width = 360
    height = 330
    top = 56
    left[1] = 64
    left[2] = left[1] + width + 160
    decades("lat", 1)
    decades("bw", 2)

    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" " \
           "role=\"img\" aria-label=\"Latency and bandwidth over message " \
           "size\">\n", left[2] + width + 110, top + height + 82
    print "<style>"
    print "text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica," \
          "Arial,sans-serif;font-size:12px}"
    print ".line{stroke-width:2;fill:none;stroke-linejoin:round;" \
          "stroke-linecap:round}"
    print ".leader{stroke-width:1;opacity:.45;fill:none}.grid,.minor{fill:none}"
    theme("#ffffff", "#24292f", "#5c636c", "#d0d5db", "#eef0f3")
    print ".title{font-size:15px;font-weight:600}.label{font-weight:600}"
    printf "%s", css
    print "@media (prefers-color-scheme:dark){"
    theme("#161b22", "#e6edf3", "#a6adb8", "#3a414b", "#21272f")
    printf "%s", css_dark
    print "}"
    print "</style>"
    printf "<rect class=\"back\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n",
           left[2] + width + 110, top + height + 82
    axes(1, "Latency, half a round trip, &#181;s (less is better)")
    lines(1, "lat")
    axes(2, "Bandwidth, one direction, MB/s (more is better)")
    lines(2, "bw")
    note(1, "Message size; raw verbs beyond 8928 B: RDMA read. Two processes " \
            "on two processors of one machine, srd, verbs and libfabric over " \
            "Soft-EFA:")
    note(2, "ratios carry over to other machines, absolute figures do not. UCX " \
            ucx ", libfabric " libfabric " (ping-pong only), medians of " reps ".")
    print "</svg>"
}
