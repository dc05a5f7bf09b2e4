import { isDeepStrictEqual } from 'node:util'

/** A line of a plan: what becomes of one record. */
export interface Planned {
  is: 'create' | 'update' | 'delete' | 'unchanged'
  noun: string
  key: string
  /** What changes in it, and what is to be known of it, one line each. */
  details: string[]
  /** How many users it touches, where that can be said. */
  users: number | undefined
}

/** A value that a change replaces; absent where there was or will be none. */
export interface Difference {
  field: string
  before: unknown
  after: unknown
}

/**
 * Everything in which two records differ, down to the value that changed; lists are compared whole. Where `ordered`,
 * another order of the same fields is a difference too.
 */
export const differencesOf = (before: object, after: object, ordered = false, around = ''): Difference[] =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((name) => {
    const [one, other]: unknown[] = [Reflect.get(before, name), Reflect.get(after, name)]
    const field = around + name
    if (isDeepStrictEqual(one, other) && !(ordered && isReordered(one, other))) return []
    if (isRecord(one) && isRecord(other) && !isDeepStrictEqual(one, other))
      return differencesOf(one, other, ordered, `${field}.`)
    return [{ field, before: one, after: other }]
  })

/** A change as a line: `field: before → after`. */
export const differenceLine = ({ field, before, after }: Difference): string =>
  `${field}: ${valueText(before)} → ${valueText(after)}`

/** The whole plan, for people. */
export const planText = (plan: readonly Planned[]): string =>
  [
    ...plan.flatMap(({ is, noun, key, details, users }) => [
      `${is.padEnd(10)} ${noun} ${key}${users === undefined ? '' : `, touches ${counted(users, 'user')}`}`,
      ...details.map((detail) => `             ${detail}`),
    ]),
    summaryOf(plan),
  ]
    .map(visible)
    .join('\n')

const counted = (count: number, noun: string): string =>
  `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`

/** Text without characters that a terminal would act on. */
export const visible = (text: string): string =>
  text.replace(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  )

const isReordered = (one: unknown, other: unknown): boolean =>
  isRecord(one) && JSON.stringify(one) !== JSON.stringify(other)

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const valueText = (value: unknown): string => {
  const text = value === undefined ? 'nothing' : JSON.stringify(value)
  return text.length > 160 ? `${text.slice(0, 159)}…` : text
}

const summaryOf = (plan: readonly Planned[]): string => {
  const count = (wanted: Planned['is']) => plan.filter(({ is }) => is === wanted).length
  return `${count('create')} to create, ${count('update')} to update, ${count('delete')} to delete, ${count('unchanged')} unchanged.`
}
