"""Tables for docs/BENCHMARKS.md, and a plot."""

import statistics


def seconds(value):
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def megabytes(value):
    return f"{value / 1e6:.1f}"


def spread(values):
    return f"{seconds(statistics.median(values))} ({seconds(min(values))}-{seconds(max(values))})"


class Row:
    """One workload's costs: tool name -> its rounds."""

    def __init__(self, workload, costs):
        self.workload, self.costs = workload, costs

    def median(self, tool):
        return statistics.median(cost.seconds for cost in self.costs[tool])

    def ratio(self, tool):
        return self.median(tool) / self.median("lade") if tool in self.costs else None


def table(rows, tools):
    names = [tool.name for tool in tools]
    peers = names[1:]
    head = ["case", *(f"{name}: median (spread)" for name in names), *(f"over {name}" for name in peers), "goal",
            *(f"written, {name}" for name in names[:2]), "peak memory of the builder"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [f"`{row.workload.name}`"]
        for name in names:
            cells.append(spread([cost.seconds for cost in row.costs[name]]) if name in row.costs else "-")
        for name in peers:
            cells.append(f"**{row.ratio(name):.1f}x**" if name in row.costs else "-")
        cells.append(f"{row.workload.goal:g}x" if row.workload.goal else "-")
        for name in names[:2]:
            written = statistics.median(cost.written for cost in row.costs[name]) if name in row.costs else None
            cells.append("-" if written is None else f"{megabytes(written)} MB")
        peaks = {name: max(cost.rss for cost in costs) for name, costs in row.costs.items()}
        cells.append(", ".join(f"{name} {megabytes(peak)} MB" for name, peak in peaks.items() if peak) or "-")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def growth_table(title, unit, points):
    lines = [f"| {unit} | {title} | per 1,000 |", "|---|---|---|"]
    for count, values in points.items():
        median = statistics.median(values)
        lines.append(f"| {count:,} | {spread(values)} | {seconds(median * 1000 / count)} |")
    return "\n".join(lines)


INK, PALE, STRONG, WEAK, FAINT = "#333", "#ddd", "#1f6f8b", "#b8b8b8", "#cfcfcf"
WIDTH, BAR, LEFT, TOP = 720, 11, 110, 46


def _bar(y, width, colour, text):
    return (f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 1}" fill="{colour}"/>'
            f'<text x="{LEFT + width + 5:.1f}" y="{y + BAR - 2}" font-size="10">{text}</text>')


def plot(rows, tools):
    """Bars of each case's medians, as shares of the slowest; the figures beside them are what counts."""
    colours = [STRONG, WEAK, FAINT, PALE]
    parts = []
    y = TOP
    for row in rows:
        slowest = max(row.median(name) for name in row.costs)
        parts.append(f'<text x="{LEFT - 8}" y="{y + BAR}" text-anchor="end">{row.workload.name}</text>')
        for tool, colour in zip(tools, colours, strict=False):
            if tool.name not in row.costs:
                continue
            median = row.median(tool.name)
            label = seconds(median)
            if tool is tools[0] and len(row.costs) > 1:
                label += f"  ({row.ratio(tools[1].name):.1f}x)"
            parts.append(_bar(y, max(median / slowest * (WIDTH - LEFT - 130), 1), colour, label))
            y += BAR
        y += 9
    legend = "".join(f'<rect x="{LEFT + 110 * n}" y="12" width="10" height="10" fill="{colour}"/>'
                     f'<text x="{LEFT + 110 * n + 15}" y="21">{tool.name} {tool.version}</text>'
                     for n, (tool, colour) in enumerate(zip(tools, colours, strict=False)))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" font-family="sans-serif" '
            f'font-size="11" fill="{INK}"><rect width="100%" height="100%" fill="white"/>{legend}'
            f'{"".join(parts)}</svg>\n')


def growth_plot(series):
    """Log-log lines: name -> {count: seconds}."""
    import math
    width, height, margin = 520, 300, 50
    counts = [count for points in series.values() for count in points]
    times = [statistics.median(values) for points in series.values() for values in points.values()]
    low_x, high_x = math.log10(min(counts)), math.log10(max(counts))
    low_y, high_y = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))

    def place(count, value):
        x = margin + (math.log10(count) - low_x) / (high_x - low_x) * (width - 2 * margin)
        y = height - margin - (math.log10(value) - low_y) / (high_y - low_y) * (height - 2 * margin)
        return x, y

    parts = []
    for power in range(low_y, high_y + 1):
        _, y = place(counts[0], 10**power)
        parts.append(f'<line x1="{margin}" x2="{width - margin}" y1="{y:.0f}" y2="{y:.0f}" stroke="{PALE}"/>'
                     f'<text x="{margin - 6}" y="{y + 4:.0f}" text-anchor="end">{seconds(10**power)}</text>')
    for power in range(math.floor(low_x), math.ceil(high_x) + 1):
        x, _ = place(10**power, 10**low_y)
        parts.append(f'<text x="{x:.0f}" y="{height - margin + 18}" text-anchor="middle">{10**power:,}</text>')
    for number, ((name, points), colour) in enumerate(zip(series.items(), (STRONG, "#c0582c"), strict=False)):
        places = [place(count, statistics.median(values)) for count, values in points.items()]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        parts.append(f'<text x="{margin + 10}" y="{margin - 20 + 16 * number}" fill="{colour}">{name}</text>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
            f'font-size="11" fill="{INK}"><rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n')


def write_document(path, section, body):
    """Puts `body` between the marks of `section`."""
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    before, rest = path.read_text().split(begin)
    path.write_text(f"{before}{begin}\n{body}\n{end}{rest.split(end)[1]}")
