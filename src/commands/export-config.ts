import { writeFile } from 'node:fs/promises'
import { writeFile as writeConfig } from '../admin/apply/write.ts'
import type { Config } from '../config.ts'
import { systemClock } from '../platform/clock.ts'
import { openKeyring } from '../platform/secrets.ts'
import { onFoundation, type Told } from './command.ts'

const noFile = async () => ({ detail: 'An export reads no file' })

/** Writes what `lido apply` reads: to a new file that only its owner can read, or to the terminal. */
export const exportConfig = (config: Config, file: string | undefined): Promise<Told> =>
  onFoundation(config, async ({ config: complete, connection: { db } }) => {
    const keyring = openKeyring(complete.secrets)
    const nothing = { variable: () => undefined, acceptConflicts: false, confirmMigration: false, beside: noFile }
    const text = await writeConfig({ db, clock: systemClock, keyring, config: complete, ...nothing })
    if (file === undefined) return { text: text.trimEnd() }
    await writeFile(file, text, { flag: 'wx', mode: 0o600 })
    return { text: `The configuration is in ${file}.` }
  })
