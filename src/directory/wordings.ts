import { isDeepStrictEqual } from 'node:util'
import { sql } from 'kysely'
import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { type WordedMessage, type WordedName, wordedMessage, wordedMessages } from '../platform/http/message-list.ts'
import { faultsOf as faultsOfOne, type Wording } from '../platform/http/wording.ts'
import { languages } from '../platform/words.ts'
import * as audit from './audit.ts'
import { isVersion, nextVersion, overtaken } from './version.ts'

const line = (most: number) => z.string().trim().min(1).max(most)
const paragraphs = z
  .string()
  .overwrite((text) => text.replaceAll('\r\n', '\n').replaceAll('\r', '\n'))
  .trim()
  .min(1)
  .max(2000)

/** How a message is worded in one language; variables stand in braces. */
export const wording = z.strictObject({
  subject: line(200).optional().describe('One line; ours if absent'),
  heading: line(200).optional().describe('Stands above the text'),
  text: paragraphs.optional().describe('Plain text, with an empty line between paragraphs; ours if absent'),
  button: line(60).optional().describe('What {link} is called where it has a paragraph of its own'),
})

/** The same in each language; in the others it is said in our words. */
export const writtenWords = z.strictObject(
  Object.fromEntries(languages.map((lang) => [lang, wording.optional().describe(`In the language ${lang}`)])),
)
export type WrittenWords = Partial<Record<string, Wording>>

/** Names that a workspace's messages go by. */
export const names = wordedMessages.map(({ name }) => name) as [WordedName, ...WordedName[]]

/** A message as a workspace words it. */
export interface WordedRecord {
  workspaceId: string
  name: string
  words: WrittenWords
  createdAt: Date
  updatedAt: Date
}

/** What is wrong with the words of a message, each with its JSON pointer below them. */
export const faultsOf = (message: WordedMessage, words: WrittenWords): { pointer: string; detail: string }[] =>
  Object.entries(words).flatMap(([lang, one]) =>
    faultsOfOne(message, one ?? {}).map(({ pointer, detail }) => ({ pointer: `/${lang}${pointer}`, detail })),
  )

/** What a workspace says of a message; undefined where it says nothing of its own. */
export const find = async (db: Db, workspaceId: string, name: string): Promise<WordedRecord | undefined> => {
  const row = await rows(db).where('workspaceId', '=', workspaceId).where('name', '=', name).executeTakeFirst()
  return row && recordFrom(row)
}

/** Every message that some workspaces, or all, say in words of their own. */
export const list = async (db: Db, workspaceIds?: readonly string[]): Promise<WordedRecord[]> => {
  const found = await rows(db)
    .$if(workspaceIds !== undefined, (query) =>
      query.where('workspaceId', '=', sql<string>`any(${workspaceIds ?? []}::uuid[])`),
    )
    .orderBy('workspaceId')
    .orderBy('name')
    .execute()
  return found.map(recordFrom)
}

/**
 * Words a message anew, in the transaction of the change; no words at all are ours again. An event tells what changed.
 * Throws `conflict` where somebody was quicker.
 */
export const put = async (
  db: Db,
  at: Date,
  { workspaceId, name }: Pick<WordedRecord, 'workspaceId' | 'name'>,
  { before, words }: { before: WordedRecord | undefined; words: WrittenWords },
  by: audit.By,
): Promise<WordedRecord | undefined> => {
  const said = withoutSilence(words)
  if (isDeepStrictEqual(before?.words ?? {}, said)) return before
  const place = { workspaceId, name }
  const after = Object.keys(said).length > 0 ? await write(db, at, place, before, said) : await clear(db, before)
  const data = { by, name, ...audit.difference(before?.words ?? {}, said) }
  await audit.record(db, at, { workspaceId }, { type: 'workspace.message_changed', data })
  return after
}

/** The words for somebody in their language, as far as they still fit the message. */
export const wordingFor = async (
  db: Db,
  workspaceId: string,
  name: WordedName,
  lang: string,
): Promise<Wording | undefined> => {
  const found = await find(db, workspaceId, name)
  return found && fitting(wordedMessage(name), found, lang)
}

/** What a record says in a language, as far as it still fits the message. */
export const fitting = (message: WordedMessage, { words }: WordedRecord, lang: string): Wording | undefined => {
  const said = words[lang]
  return said && faultsOfOne(message, said).length === 0 ? said : undefined
}

const rows = (db: Db) => db.selectFrom('wordings').selectAll()

const recordFrom = (row: Omit<WordedRecord, 'words'> & { words: unknown }): WordedRecord => ({
  ...row,
  words: row.words as WrittenWords,
})

const withoutSilence = (words: WrittenWords): WrittenWords =>
  Object.fromEntries(
    Object.entries(words).flatMap(([lang, one = {}]) => {
      const said = Object.entries(one).filter(([, part]) => part !== undefined)
      return said.length > 0 ? [[lang, Object.fromEntries(said)]] : []
    }),
  )

const write = async (
  db: Db,
  at: Date,
  place: Pick<WordedRecord, 'workspaceId' | 'name'>,
  before: WordedRecord | undefined,
  words: WrittenWords,
): Promise<WordedRecord> => {
  const row = before
    ? await db
        .updateTable('wordings')
        .set({ words: JSON.stringify(words), updatedAt: nextVersion(at, before) })
        .where('workspaceId', '=', place.workspaceId)
        .where('name', '=', place.name)
        .where(isVersion(before))
        .returningAll()
        .executeTakeFirstOrThrow(overtaken)
    : await db
        .insertInto('wordings')
        .values({ ...place, words: JSON.stringify(words), createdAt: at, updatedAt: at })
        .onConflict((conflict) => conflict.doNothing())
        .returningAll()
        .executeTakeFirstOrThrow(overtaken)
  return recordFrom(row)
}

const clear = async (db: Db, before: WordedRecord | undefined): Promise<undefined> => {
  if (!before) return
  await db
    .deleteFrom('wordings')
    .where('workspaceId', '=', before.workspaceId)
    .where('name', '=', before.name)
    .where(isVersion(before))
    .returning('name')
    .executeTakeFirstOrThrow(overtaken)
}
