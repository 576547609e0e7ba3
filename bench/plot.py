"""A bar chart as SVG, without any library.

In: a title and, for each agent, its figure of each round. Out: the text of an SVG. Promises: a bar is the median, dots are
the rounds; it reads on light and dark pages.
"""
import statistics
from xml.sax.saxutils import escape

WIDTH, BAR, GAP, LEFT, TOP = 720, 22, 10, 170, 48


def bars(title, agents):
    agents = [(name, values) for name, values in agents if values]
    most = max(max(values) for _, values in agents) or 1
    scale = (WIDTH - LEFT - 90) / most
    height = TOP + len(agents) * (BAR + GAP) + 16
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">' % (WIDTH, height),
           "<style>text{fill:#333}.bar{fill:#4a7fb5}.own{fill:#2e9e6b}.dot{fill:#222;fill-opacity:.55}"
           "@media(prefers-color-scheme:dark){text{fill:#ddd}.dot{fill:#eee}}</style>",
           '<text x="12" y="26" font-size="16">%s</text>' % escape(title)]
    for at, (name, values) in enumerate(agents):
        y, middle = TOP + at * (BAR + GAP), statistics.median(values)
        own = "own" if name.startswith("logweir") else "bar"
        out.append('<text x="%d" y="%d" text-anchor="end">%s</text>' % (LEFT - 10, y + 16, escape(name)))
        out.append('<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="3"/>' % (own, LEFT, y, max(middle * scale, 1), BAR))
        out += ['<circle class="dot" cx="%.1f" cy="%d" r="2.5"/>' % (LEFT + value * scale, y + BAR // 2) for value in values]
        out.append('<text x="%.1f" y="%d">%.2f</text>' % (LEFT + max([middle] + values) * scale + 8, y + 16, middle))
    return "\n".join(out + ["</svg>", ""])
