import type { IntlMessageFormat } from 'intl-messageformat'

type Element = ReturnType<IntlMessageFormat['getAst']>[number]

/**
 * A message whose values stand apart in their own direction (UAX #9, first strong isolate): in a right-to-left sentence
 * a telephone number would come out backwards, and an address would take its full stop along.
 */
export const isolateValues = (message: readonly Element[]): Element[] =>
  message.flatMap((element) => {
    if ('options' in element) return [{ ...element, options: isolateOptions(element.options) } as Element]
    return 'value' in element && element.type !== literal ? [said(opened), element, said(closed)] : [element]
  })

const isolateOptions = (options: Record<string, { value: Element[] }>) =>
  Object.fromEntries(
    Object.entries(options).map(([name, option]) => [name, { ...option, value: isolateValues(option.value) }]),
  )

const literal = 0
const opened = '\u2068'
const closed = '\u2069'

const said = (value: string): Element => ({ type: literal, value })
