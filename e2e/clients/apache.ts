import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type Apache, findApache } from '../../scripts/apache.ts'
import type { Registered } from './app.ts'
import { page } from './app.ts'

/** An Apache of our own with mod_auth_openidc, and an application below `/in` that only people who signed in see. */
export interface RunningApache {
  url: string
  stop(): Promise<void>
}

/** Starts one that is a client of Lido, registered with the address that it is at. Throws with its log where it does not. */
export const startApache = async (register: (url: string) => Promise<Registered>): Promise<RunningApache> => {
  const apache = findApache()
  if (!apache) throw new Error('There is no Apache with mod_auth_openidc here.')
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const folder = await mkdtemp(join(tmpdir(), 'lido-apache-'))
  await chmod(folder, 0o755)
  await writeFile(join(folder, 'index.html'), page('Nobody', { 'Sign in': '/in' }))
  const out = { 'Sign out': `/in/redirect?logout=${encodeURIComponent(`${url}/`)}` }
  await writeFile(join(folder, 'in.shtml'), page('Hello <!--#echo var="REMOTE_USER" -->', out))
  const file = join(folder, 'httpd.conf')
  await writeFile(file, configurationOf(apache, folder, url, await register(url)))
  const child = spawn(apache.program, ['-f', file, '-DFOREGROUND'], { stdio: ['ignore', 'ignore', 'pipe'] })
  const stop = async () => {
    await end(child)
    await rm(folder, { recursive: true, force: true })
  }
  await answering(child, url).catch(async (error) => {
    await stop()
    throw error
  })
  return { url, stop }
}

const modules = [
  'mpm_event',
  'authn_core',
  'authz_core',
  'authz_user',
  'alias',
  'dir',
  'mime',
  'include',
  'auth_openidc',
]

// Apache gives up root by itself, and only root can tell it to.
const asNobody = process.getuid?.() === 0 ? 'User nobody\nGroup nogroup' : ''

const configurationOf = ({ modulesAt }: Apache, folder: string, url: string, client: Registered): string => `
ServerRoot ${folder}
ServerName 127.0.0.1
Listen ${new URL(url).host}
${modules.map((name) => `LoadModule ${name}_module ${join(modulesAt, `mod_${name}.so`)}`).join('\n')}
PidFile ${join(folder, 'pid')}
ErrorLog ${join(folder, 'error.log')}
${asNobody}
TypesConfig /dev/null
AddType text/html .html .shtml
AddOutputFilter INCLUDES .shtml
DocumentRoot ${folder}
Alias /in ${join(folder, 'in.shtml')}
OIDCProviderMetadataURL ${client.issuer}/.well-known/openid-configuration
OIDCClientID ${client.id}
OIDCClientSecret ${client.secret}
OIDCProviderTokenEndpointAuth client_secret_basic
OIDCRedirectURI ${url}/in/redirect
OIDCCryptoPassphrase known-to-this-application-only
OIDCScope "openid email"
OIDCPKCEMethod S256
OIDCRemoteUserClaim email
<Directory ${folder}>
  Options +Includes
</Directory>
<Location /in>
  AuthType openid-connect
  Require valid-user
</Location>
`

const answering = async (child: ChildProcess, url: string): Promise<void> => {
  let said = ''
  child.stderr?.on('data', (text) => {
    said += text
  })
  const until = performance.now() + 15_000
  while (
    !(await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    ))
  ) {
    if (child.exitCode !== null || performance.now() > until) throw new Error(`Apache does not answer: ${said}`)
    await setTimeout(50)
  }
}

const end = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
