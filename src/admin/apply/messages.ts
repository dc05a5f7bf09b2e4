import { z } from 'zod'
import { system } from '../../directory/audit.ts'
import * as wordings from '../../directory/wordings.ts'
import { wordedMessages } from '../../platform/http/message-list.ts'
import { type Kind, missing, named, slugOf } from './kind.ts'

const schema = z.strictObject({
  workspace: z.string(),
  name: z.string(),
  words: wordings.writtenWords.default({}),
})
type Fields = z.output<typeof schema>

/** The messages that workspaces say in words of their own; what is not among them is said in ours. */
export const messageKind: Kind<Fields, wordings.WordedRecord> = {
  name: 'messages',
  noun: 'message',
  naming: z.object({ workspace: z.string(), name: z.string() }),
  keyOf: ({ workspace, name }) => `${workspace}/${name}`,
  schema,
  list: ({ db, workspaces, reach }) =>
    wordings.list(
      db,
      [...workspaces.values()].filter(({ slug }) => !reach || reach.workspaces.has(slug)).map(({ id }) => id),
    ),
  tell: (scene, { workspaceId, name, words }) => ({ workspace: slugOf(scene, workspaceId), name, words }),
  mayPrune: () => true,
  remark: ({ workspaces }, _row, { workspace, name, words }) => {
    const message = wordedMessages.find((one) => one.name === name)
    if (!message) return { faults: [{ pointer: '/name', detail: `There is no message "${name}"` }] }
    const wrong = wordings.faultsOf(message, words)
    return {
      faults: [
        ...missing('workspace', '/workspace', [workspace], workspaces),
        ...wrong.map(({ pointer, detail }) => ({ pointer: `/words${pointer}`, detail })),
      ],
    }
  },
  async create({ db, at, workspaces }, { workspace, name, words }) {
    const place = { workspaceId: named(workspaces, workspace).id, name }
    await wordings.put(db, at, place, { before: undefined, words }, system)
  },
  async update({ db, at }, before, { words }) {
    await wordings.put(db, at, before, { before, words }, system)
  },
  async remove({ db, at }, before) {
    await wordings.put(db, at, before, { before, words: {} }, system)
  },
  touched: async () => undefined,
}
