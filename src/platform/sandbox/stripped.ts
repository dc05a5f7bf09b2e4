import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const sources = join(dirname(fileURLToPath(import.meta.url)), 'runner')

let made: string | undefined

/**
 * The folder of the runner without its types, made once a process and removed at its end; anew where something cleaned
 * the folder of temporary files. A child that takes them off by itself needs twice as long to start, and there is one
 * child a run.
 */
export const strippedRunner = (): string => {
  if (made === undefined || !isWhole(made)) made = make()
  return made
}

const isWhole = (folder: string): boolean =>
  readdirSync(sources).every((file) => existsSync(join(folder, file.replace(/\.ts$/, '.mjs'))))

const make = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'lido-runner-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  for (const file of readdirSync(sources)) {
    const code = quietly(() => stripTypeScriptTypes(readFileSync(join(sources, file), 'utf8')))
    writeFileSync(join(folder, file.replace(/\.ts$/, '.mjs')), located(code))
  }
  return folder
}

/** The same imports, as they are found from another folder. */
const located = (code: string): string =>
  code
    .replaceAll(/(from |import )'(\.\/[\w-]+)\.ts'/g, "$1'$2.mjs'")
    .replaceAll("from 'quickjs-emscripten'", `from '${import.meta.resolve('quickjs-emscripten')}'`)

/** Without the warning that Node's own function may still change: this program runs on what it strips in any case. */
const quietly = <Result>(act: () => Result): Result => {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return act()
  } finally {
    process.emitWarning = emitWarning
  }
}
