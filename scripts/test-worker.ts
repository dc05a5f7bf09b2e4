import { run } from 'node:test'
import { spec } from 'node:test/reporters'

/** How a test file went. */
export interface Played {
  passed: boolean
  tests: number
  /** Tests that were cut off, left out or are yet to be done. */
  unfinished: number
  /** What its tests say, as `node --test` prints it. */
  report: string
}

// A file is over once nothing of it keeps the process alive: so while it plays, the channel must not.
process.on('message', async (file: string) => {
  process.channel?.unref()
  const played = await play(file)
  process.channel?.ref()
  process.send?.(played)
})

process.on('disconnect', () => process.exit())

const { fetch } = globalThis

/** Plays a file with a root and hooks of its own. What never gets to a summary has not passed. */
const play = async (file: string): Promise<Played> => {
  const played: Played = { passed: false, tests: 0, unfinished: 0, report: '' }
  let empty = false
  const events = run({ files: [file], isolation: 'none', timeout: 240_000 })
  // What stands for the tests of a file that has none.
  events.on('test:pass', ({ name, nesting }) => {
    empty ||= nesting === 0 && name === file
  })
  events.on('test:summary', ({ success, counts }) => {
    const { tests, cancelled, skipped, todo } = counts
    Object.assign(played, { passed: success && tests > 0 && !empty, tests, unfinished: cancelled + skipped + todo })
  })
  for await (const text of events.compose(new spec())) played.report += text
  // The next file of this process would be asked in its place.
  if (globalThis.fetch !== fetch)
    Object.assign(played, { passed: false, report: `${played.report}It leaves its own fetch.` })
  globalThis.fetch = fetch
  return played
}
