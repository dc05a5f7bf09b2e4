/** What can stand in a message: what it is, for whoever words it, and what stands there in a sample. */
interface Variable {
  about: string
  sample: string | number
  /** Whether it is an address of ours, which is drawn as a link. */
  isLink?: true
  /** What stands there in our own words as somebody starts from them, unless it is the name in braces. */
  inOurs?: string
}

const every = {
  service: { about: 'the name of the workspace', sample: 'Example' },
  address: { about: 'the address that the mail goes to', sample: 'ada@example.org' },
  code: { about: 'the code', sample: '493027' },
  link: { about: 'the link', sample: 'https://id.example.org/sample', isLink: true },
  minutes: { about: 'for how many minutes it works', sample: 10 },
  hours: { about: 'for how many hours it can be accepted', sample: 72 },
  days: { about: 'in how many days it happens, or for how many it works', sample: 14 },
  left: { about: 'how many recovery codes are left', sample: 3 },
  added: { about: 'what the account goes by now', sample: 'ada@example.net' },
  gone: { about: 'what the account goes by no longer', sample: 'ada@example.org', inOurs: 'none' },
  page: { about: 'the page that takes the code', sample: 'https://id.example.org/invitation', isLink: true },
  inviter: { about: 'who invites', sample: 'Grace', inOurs: '' },
  message: { about: 'what they say', sample: 'We look forward to seeing you.' },
  client: { about: 'the application that asks', sample: 'Example App' },
  device: { about: 'the browser and system', sample: 'Firefox on Linux' },
  network: { about: 'the network, and the country where it is known', sample: '192.0.2.0/24' },
  time: { about: 'when it was', sample: '3 May 2027 at 09:12 UTC' },
} as const satisfies Record<string, Variable>
export type VariableName = keyof typeof every

/** Every variable there is; in a text they stand in braces. */
export const variables: Record<VariableName, Variable> = every

/** A variable of a message: one that a text cannot do without ends with `!`, one that may have no value with `?`. */
type Use = VariableName | `${VariableName}!` | `${VariableName}?`

/** Every mail there is, with its variables besides `service` and `address`: two views each, and a subject in the words. */
const mails = {
  code: ['code!', 'minutes'],
  'register-code': ['code!', 'minutes'],
  'register-taken': [],
  recover: ['code!', 'minutes', 'link'],
  'password-changed': [],
  'refresh-reuse': [],
  invitation: ['link!', 'code', 'page', 'hours', 'inviter?', 'message?'],
  reset: ['link!', 'minutes'],
  'set-password': ['link!', 'days'],
  'factor-added': [],
  'factor-removed': [],
  'identifier-code': ['code!', 'minutes'],
  'identifier-changed': ['added', 'gone?'],
  'account-deletion': ['days'],
  'account-deleted': [],
  'passkey-added': [],
  'recovery-code-used': ['left'],
  'second-factor-failed': [],
  'new-sign-in': ['device', 'network', 'time', 'link'],
  'sign-in-refused': ['device', 'network', 'time', 'link'],
  'magic-link': ['link!', 'minutes'],
  request: ['client', 'message?', 'link!', 'minutes'],
} as const satisfies Record<string, readonly Use[]>
export type MessageName = keyof typeof mails
export const messageNames = Object.keys(mails) as MessageName[]

/** Every text message there is, with its variables besides `service`: `sms.{name}` in the words. */
const texts = {
  code: ['code!', 'minutes'],
  'register-code': ['code!', 'minutes'],
  'register-taken': [],
  'identifier-code': ['code!', 'minutes'],
  recover: ['code!', 'minutes'],
  'password-changed': [],
} as const satisfies Record<string, readonly Use[]>
export type TextName = keyof typeof texts
export const textNames = Object.keys(texts) as TextName[]

/** A message as a workspace words it. */
export type WordedName = MessageName | `sms-${TextName}`
export type WordedMessage = { name: WordedName; variables: WordedVariable[] } & (
  | { channel: 'email'; template: MessageName }
  | { channel: 'sms'; template: TextName }
)
interface WordedVariable {
  name: VariableName
  /** Whether a text cannot do without. */
  required: boolean
  /** Whether it has a value each time. */
  always: boolean
}

/** Every message that a workspace may word. */
export const wordedMessages: readonly WordedMessage[] = [
  ...messageNames.map((template) => ({
    name: template,
    channel: 'email' as const,
    template,
    variables: ['service' as const, 'address' as const, ...mails[template]].map(readUse),
  })),
  ...textNames.map((template) => ({
    name: `sms-${template}` as const,
    channel: 'sms' as const,
    template,
    variables: ['service' as const, ...texts[template]].map(readUse),
  })),
]

/** The message of a name; what is no name throws, which is a bug. */
export const wordedMessage = (name: string): WordedMessage => {
  const found = wordedMessages.find((one) => one.name === name)
  if (!found) throw new Error(`there is no message ${JSON.stringify(name)}`)
  return found
}

function readUse(use: Use): WordedVariable {
  const name = use.replace(/[!?]$/, '') as VariableName
  return { name, required: use.endsWith('!'), always: !use.endsWith('?') }
}
