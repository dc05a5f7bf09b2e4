/** What is used of an element of a parsed document; an attribute that is not there reads as an empty text. */
export interface XmlElement {
  readonly nodeType: number
  readonly localName: string | null
  readonly namespaceURI: string | null
  readonly textContent: string | null
  readonly childNodes: ArrayLike<unknown>
  getAttribute(name: string): string | null
}

/** The namespaces of SAML 2.0 and of XML Signature. */
export const ns = {
  assertion: 'urn:oasis:names:tc:SAML:2.0:assertion',
  protocol: 'urn:oasis:names:tc:SAML:2.0:protocol',
  metadata: 'urn:oasis:names:tc:SAML:2.0:metadata',
  signature: 'http://www.w3.org/2000/09/xmldsig#',
} as const

/** The most characters of a document that are read. */
const longestXml = 256 * 1024

/**
 * The most elements and attributes, a hundred times what a usual response has. What parses, finds and canonicalizes them
 * takes time by their square, before a signature is known to be good.
 */
const mostElements = 1_500
const mostAttributes = 4_000

/** Loaded at its first use: only pools with a SAML upstream need it. */
export const loadXml = () => import('@node-saml/node-saml/lib/xml.js')

/**
 * The root of a document; undefined where it is too long or no XML. One with a document type, an entity, a comment,
 * CDATA or a processing instruction is refused unparsed: without them no text can be read in two ways, nor grow.
 */
export const parseXml = async (text: string): Promise<XmlElement | undefined> => {
  const body = text.replace(/^\uFEFF?\s*<\?xml\s[^<>?]*\?>/, '')
  if (body.length > longestXml || isCostly(body)) return undefined
  if (/<[!?]/.test(body) || tooDeep(body)) return undefined
  const { parseDomFromString } = await loadXml()
  try {
    return (await parseDomFromString(lines(body.trim()))).documentElement
  } catch {
    return undefined
  }
}

/** The bytes as a document of XML is: UTF-8; undefined where they are not. */
export const decodeXml = (base64: string): string | undefined => {
  const text = base64.replace(/\s/g, '')
  if (text.length > (longestXml * 4) / 3 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(text, 'base64'))
  } catch {
    return undefined
  }
}

/** The elements directly below one, with this name. */
export const children = (parent: XmlElement | undefined, namespace: string, name: string): XmlElement[] =>
  elements(parent).filter((child) => child.localName === name && child.namespaceURI === namespace)

/** The only element directly below one with this name; undefined where there is none, or more than one. */
export const onlyChild = (parent: XmlElement | undefined, namespace: string, name: string): XmlElement | undefined => {
  const [first, ...others] = children(parent, namespace, name)
  return others.length ? undefined : first
}

/** Every element from one downwards, itself first. */
export const everyElement = (root: XmlElement): XmlElement[] => {
  const found = [root]
  for (const element of found) found.push(...elements(element))
  return found
}

/** The elements directly below one. */
export const elements = (parent: XmlElement | undefined): XmlElement[] =>
  Array.from(parent?.childNodes ?? []).filter(isElement)

/** An attribute without a namespace; undefined where it is missing or empty. */
export const attribute = (element: XmlElement | undefined, name: string): string | undefined =>
  element?.getAttribute(name) || undefined

/** The whole text of an element that holds nothing but text, without the space around it; undefined where it is empty. */
export const textOf = (element: XmlElement | undefined): string | undefined =>
  element && !elements(element).length ? element.textContent?.trim() || undefined : undefined

/** A moment as XML Schema writes it with its zone; undefined for anything else. */
export const momentOf = (text: string | undefined): Date | undefined => {
  if (!text || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/.test(text)) return undefined
  const moment = new Date(text)
  return Number.isNaN(moment.getTime()) ? undefined : moment
}

/** Escapes what is put between tags or into a quoted attribute. */
export const escapeXml = (text: string): string =>
  text.replace(/[&<>"'\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`)

const isElement = (node: unknown): node is XmlElement =>
  typeof node === 'object' && node !== null && 'nodeType' in node && node.nodeType === 1

// XML 1.0 section 2.11: a signature is made of a document in which a line ends with one character.
const lines = (text: string): string => text.replace(/\r\n?/g, '\n')

const isCostly = (body: string): boolean =>
  count(body, /<(?!\/)/g) > mostElements || count(body, /<\//g) > mostElements || count(body, /=/g) > mostAttributes

const count = (body: string, mark: RegExp): number => body.match(mark)?.length ?? 0

// A message of SAML has a dozen levels; what reads it goes down by recursion.
const tooDeep = (body: string): boolean => {
  let depth = 0
  for (const [tag] of body.matchAll(/<[^<>]*>/g)) {
    if (tag.startsWith('</')) depth--
    else if (!tag.endsWith('/>')) depth++
    if (depth > 64) return true
  }
  return false
}
