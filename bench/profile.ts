import { writeFile } from 'node:fs/promises'
import { Session } from 'node:inspector/promises'

let session: Session | undefined

/** Begins a CPU profile of this process where no file is given, else ends it and writes it there. */
export const profile = async (file: string | undefined): Promise<void> => {
  if (file === undefined) {
    session = new Session()
    session.connect()
    await session.post('Profiler.enable')
    await session.post('Profiler.setSamplingInterval', { interval: 200 })
    await session.post('Profiler.start')
    return
  }
  const ended = await session?.post('Profiler.stop')
  session?.disconnect()
  await writeFile(file, JSON.stringify(ended?.profile))
}
