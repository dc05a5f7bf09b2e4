import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A file that pages load from our own origin; its version changes with its bytes, so it may be cached for ever. */
export interface Asset {
  body: string
  type: 'css' | 'js'
  version: string
  /** Without the version. */
  path: string
}

const views = join(import.meta.dirname, '../../../views')
const webauthn = join(fileURLToPath(import.meta.resolve('@simplewebauthn/browser')), '..')

/** Everything that pages load, each from its file. A new one is a line here. */
const files: Record<string, string> = {
  'lido.css': join(views, 'lido.css'),
  'console.css': join(views, 'console.css'),
  'strength.js': join(views, 'assets/strength.js'),
  'passkey.js': join(views, 'assets/passkey.js'),
  'simplewebauthn.js': join(webauthn, '../dist/bundle/index.umd.min.js'),
  'send.js': join(views, 'assets/send.js'),
  'preview.js': join(views, 'assets/preview.js'),
}

/** An asset by its name; throws on one that is not listed. */
export const assetOf = (name: string): Asset => {
  const known = read.get(name) ?? readAsset(name)
  read.set(name, known)
  return known
}

/** The asset that a path asks for. */
export const findAsset = (path: string): Asset | undefined => {
  const [, name = ''] = /^\/assets\/([\w.-]+)$/.exec(path) ?? []
  return Object.hasOwn(files, name) ? assetOf(name) : undefined
}

/** The address of an asset with its version. */
export const addressOf = (name: string): string => {
  const { path, version } = assetOf(name)
  return `${path}?v=${version}`
}

const read = new Map<string, Asset>()

const readAsset = (name: string): Asset => {
  const file = Object.hasOwn(files, name) ? files[name] : undefined
  if (!file) throw new Error(`No asset is called "${name}".`)
  const body = readFileSync(file, 'utf8')
  const version = createHash('sha256').update(body).digest('base64url').slice(0, 12)
  return { body, type: name.endsWith('.css') ? 'css' : 'js', version, path: `/assets/${name}` }
}
