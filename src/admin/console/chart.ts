/** A bar as the view draws it, in units of the chart's view box. */
interface Bar {
  x: number
  y: number
  width: number
  height: number
  /** What pointing at it says. */
  title: string
}

/** Bars above a line, with the scale that they are read by. */
export interface Chart {
  width: number
  height: number
  bars: Bar[]
  /** Lines across, with the number each stands for. */
  lines: { y: number; label: string }[]
  /** The first and the last thing that was counted. */
  from: string
  to: string
  /** What the chart says, in a sentence. */
  summary: string
}

const width = 600
const height = 120
const top = 8

/** Draws counts as bars of one chart, each named by what was counted. */
export const chartOf = (name: string, counts: { at: string; count: number }[]): Chart => {
  const most = ceiling(Math.max(0, ...counts.map(({ count }) => count)))
  const slot = width / Math.max(1, counts.length)
  const scale = (count: number) => (most === 0 ? 0 : ((height - top) * count) / most)
  const bars = counts.map(({ at, count }, index) => ({
    x: round(index * slot + slot * 0.1),
    y: round(height - scale(count)),
    width: round(slot * 0.8),
    height: round(scale(count)),
    title: `${at}: ${count}`,
  }))
  const steps = most === 0 ? [0] : most === 1 ? [0, 1] : [0, most / 2, most]
  const sum = counts.reduce((all, { count }) => all + count, 0)
  return {
    width,
    height,
    bars,
    lines: steps.map((step) => ({ y: round(height - scale(step)), label: String(step) })),
    from: counts[0]?.at ?? '',
    to: counts.at(-1)?.at ?? '',
    summary: `${name}: ${sum} in all, at most ${Math.max(0, ...counts.map(({ count }) => count))} on a day`,
  }
}

/** The next even number of the kind that people read off at a glance: 2, 4, 10, 20, 40, 100, … */
const ceiling = (most: number): number => {
  if (most <= 1) return most
  const power = 10 ** Math.floor(Math.log10(most))
  return (
    [1, 2, 4, 6, 8, 10].map((factor) => factor * power).find((even) => even >= most && even % 2 === 0) ??
    most + (most % 2)
  )
}

const round = (value: number): number => Math.round(value * 10) / 10
