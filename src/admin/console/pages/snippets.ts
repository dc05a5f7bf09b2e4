import type { Json } from '../../openapi.ts'

/** Code to begin with in one library, about one client; never with a secret in it. */
export interface Snippet {
  title: string
  /** What to install, and where the code goes. */
  hint: string
  code: string
}

/** What a snippet says of a client, each text as a literal of JSON, which all these languages read. */
interface Values {
  issuer: string
  id: string
  redirect: string
  path: string
  after: string
  scope: string
  scopes: string[]
  alg: string
  /** Whether its secret goes in the body, not in a header. */
  post: boolean
  kind: Kind
}

type Kind = 'browser' | 'native' | 'server' | 'machine'

const simple: ReadonlySet<unknown> = new Set(['none', 'client_secret_basic', 'client_secret_post'])

/**
 * Code for a client of a workspace, by what the client is: what fits it best comes first. None for one that signs what it
 * says or shows a certificate: that would not do as it stands here.
 */
export const snippetsFor = (client: Json, issuer: string): Snippet[] => {
  if (!simple.has(client.token_endpoint_auth_method)) return []
  const values = valuesOf(client, issuer)
  return libraries[values.kind].map((library) => library(values))
}

const kindOf = ({ grant_types, token_endpoint_auth_method, application_type }: Json): Kind => {
  if (!(grant_types as string[]).includes('authorization_code')) return 'machine'
  if (token_endpoint_auth_method !== 'none') return 'server'
  return application_type === 'native' ? 'native' : 'browser'
}

const valuesOf = (client: Json, issuer: string): Values => {
  const [redirect = 'http://localhost:8080/callback'] = client.redirect_uris as string[]
  const [after] = client.post_logout_redirect_uris as string[]
  const allowed = typeof client.scope === 'string' ? client.scope : 'openid profile email'
  const offline = (client.grant_types as string[]).includes('refresh_token') && client.scope === undefined
  const scope = offline ? `${allowed} offline_access` : allowed
  const { pathname, origin } = new URL(redirect)
  return {
    issuer: literal(issuer),
    id: literal(String(client.client_id)),
    redirect: literal(redirect),
    path: literal(pathname || '/'),
    after: literal(after ?? (origin === 'null' ? redirect : `${origin}/`)),
    scope: literal(scope),
    scopes: scope.split(' '),
    alg: String(client.id_token_signed_response_alg),
    post: client.token_endpoint_auth_method === 'client_secret_post',
    kind: kindOf(client),
  }
}

// The environment of the program that the code goes to: nothing of ours is read.
const theirs = ['process', 'env'].join('.')

const literal = (text: string): string => JSON.stringify(text)

/** What openid-client is told of a client besides its id: its metadata or secret, and how it proves who it is. */
const nodeAuth = ({ alg, kind, post }: Values): string => {
  const secret = kind === 'native' ? [] : [`client_secret: ${theirs}.OIDC_CLIENT_SECRET`]
  const signed = alg === 'RS256' ? [] : [`id_token_signed_response_alg: ${literal(alg)}`]
  const metadata = [...secret, ...signed].join(', ')
  const how = kind === 'native' ? 'None()' : `${post ? 'ClientSecretPost' : 'ClientSecretBasic'}()`
  return `${metadata ? `{ ${metadata} }` : 'undefined'}, client.${how}`
}

const node = (values: Values): Snippet => {
  const { issuer, id, redirect, scope } = values
  return {
    title: 'Node: openid-client',
    hint: 'npm install openid-client (version 6), in an ES module.',
    code: `import * as client from 'openid-client'

const config = await client.discovery(new URL(${issuer}), ${id}, ${nodeAuth(values)})

// Send the browser away; keep all three in its session.
const code_verifier = client.randomPKCECodeVerifier()
const state = client.randomState()
const nonce = client.randomNonce()
const address = client.buildAuthorizationUrl(config, {
  redirect_uri: ${redirect},
  scope: ${scope},
  code_challenge: await client.calculatePKCECodeChallenge(code_verifier),
  code_challenge_method: 'S256',
  state,
  nonce,
})

// Where it comes back: \`current\` is the whole address as a URL.
export const complete = async (current, session) => {
  const tokens = await client.authorizationCodeGrant(config, current, {
    pkceCodeVerifier: session.code_verifier,
    expectedState: session.state,
    expectedNonce: session.nonce,
  })
  return tokens.claims()
}
`,
  }
}

const nodeMachine = (values: Values): Snippet => ({
  title: 'Node: openid-client',
  hint: 'npm install openid-client (version 6), in an ES module.',
  code: `import * as client from 'openid-client'

const config = await client.discovery(new URL(${values.issuer}), ${values.id}, ${nodeAuth(values)})
const { access_token } = await client.clientCredentialsGrant(config, {
  resource: ${theirs}.OIDC_RESOURCE,
})
`,
})

const browser = ({ issuer, id, redirect, after, scope }: Values): Snippet => ({
  title: 'Browser: oidc-client-ts',
  hint: 'npm install oidc-client-ts. It uses PKCE by itself.',
  code: `import { UserManager } from 'oidc-client-ts'

const manager = new UserManager({
  authority: ${issuer},
  client_id: ${id},
  redirect_uri: ${redirect},
  post_logout_redirect_uri: ${after},
  scope: ${scope},
})

export const signIn = () => manager.signinRedirect()
// On the page that people come back to:
export const complete = () => manager.signinRedirectCallback()
export const signOut = () => manager.signoutRedirect()
`,
})

const spring = ({ issuer, id, redirect, scopes, alg, post, kind }: Values): Snippet => {
  const machine = kind === 'machine'
  const where = machine ? '' : `            redirect-uri: ${redirect}\n            scope: [${scopes.join(', ')}]\n`
  const odd = alg === 'RS256' ? '' : ` ID tokens come signed by ${alg}: tell its OidcIdTokenDecoderFactory.`
  return {
    title: 'Java: Spring Boot',
    hint: `spring-boot-starter-oauth2-client; in application.yml.${machine ? '' : odd}`,
    code: `spring:
  security:
    oauth2:
      client:
        registration:
          lido:
            client-id: ${id}
            client-secret: \${OIDC_CLIENT_SECRET}
            client-authentication-method: ${post ? 'client_secret_post' : 'client_secret_basic'}
            authorization-grant-type: ${machine ? 'client_credentials' : 'authorization_code'}
${where}        provider:
          lido:
            issuer-uri: ${issuer}
`,
  }
}

const aspnet = ({ issuer, id, path, scopes, post }: Values): Snippet => ({
  title: 'C#: ASP.NET Core',
  hint: 'dotnet add package Microsoft.AspNetCore.Authentication.OpenIdConnect; in Program.cs, with the secret in Oidc__ClientSecret.',
  code: `using System.Net.Http.Headers;
using System.Text;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authentication.OpenIdConnect;

var builder = WebApplication.CreateBuilder(args);
var secret = builder.Configuration["Oidc:ClientSecret"];

builder.Services
    .AddAuthentication(options =>
    {
        options.DefaultScheme = CookieAuthenticationDefaults.AuthenticationScheme;
        options.DefaultChallengeScheme = OpenIdConnectDefaults.AuthenticationScheme;
    })
    .AddCookie()
    .AddOpenIdConnect(options =>
    {
        options.Authority = ${issuer};
        options.ClientId = ${id};
${post ? '        options.ClientSecret = secret;\n' : `${aspnetBasic(id)}\n`}        options.ResponseType = "code";
        options.CallbackPath = ${path};
        options.Scope.Clear();
${scopes.map((scope) => `        options.Scope.Add(${literal(scope)});`).join('\n')}
        options.GetClaimsFromUserInfoEndpoint = true;
        options.MapInboundClaims = false;
        options.SaveTokens = true;
    });
builder.Services.AddAuthorization();

var app = builder.Build();
app.UseAuthentication();
app.UseAuthorization();
app.MapGet("/", (HttpContext context) => context.User.FindFirst("sub")?.Value).RequireAuthorization();
app.Run();
`,
})

const aspnetMachine = ({ issuer, id, post }: Values): Snippet => ({
  title: 'C#: .NET',
  hint: 'In Program.cs, with the secret in OIDC_CLIENT_SECRET and the API in OIDC_RESOURCE.',
  code: `using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

var secret = Environment.GetEnvironmentVariable("OIDC_CLIENT_SECRET")!;
var form = new Dictionary<string, string>
{
    ["grant_type"] = "client_credentials",
    ["resource"] = Environment.GetEnvironmentVariable("OIDC_RESOURCE")!,
${post ? `    ["client_id"] = ${id},\n    ["client_secret"] = secret,\n` : ''}};

using var http = new HttpClient();
${post ? '' : `${basicHeader('http', id)}\n`}var answer = await http.PostAsync(${issuer.slice(0, -1)}/token", new FormUrlEncodedContent(form));
answer.EnsureSuccessStatusCode();
using var body = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
var accessToken = body.RootElement.GetProperty("access_token").GetString();
`,
})

// ASP.NET sends the secret in the body by itself, which is another method than this client's.
const aspnetBasic = (id: string): string => `        options.Events.OnAuthorizationCodeReceived = context =>
        {
            // The secret of this client goes in a header.
${indented(basicHeader('context.Backchannel', id))}
            return Task.CompletedTask;
        };`

const indented = (code: string): string => code.replace(/^/gm, '            ')

const basicHeader = (http: string, id: string): string =>
  `${http}.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue(
    "Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(${id} + ":" + secret)));`

const python = ({ issuer, id, redirect, path, scope, post }: Values): Snippet => ({
  title: 'Python: Authlib',
  hint: 'pip install authlib flask requests.',
  code: `import os
from authlib.integrations.flask_client import OAuth
from flask import Flask, redirect, session

app = Flask(__name__)
app.secret_key = os.environ["APP_SECRET_KEY"]
oauth = OAuth(app)
oauth.register(
    "lido",
    server_metadata_url=${issuer.slice(0, -1)}/.well-known/openid-configuration",
    client_id=${id},
    client_secret=os.environ["OIDC_CLIENT_SECRET"],
    client_kwargs={
        "scope": ${scope},
        "code_challenge_method": "S256",
        "token_endpoint_auth_method": "${post ? 'client_secret_post' : 'client_secret_basic'}",
    },
)


@app.get("/login")
def login():
    return oauth.lido.authorize_redirect(${redirect})


@app.get(${path})
def callback():
    token = oauth.lido.authorize_access_token()
    session["user"] = token["userinfo"]
    return redirect("/")
`,
})

const pythonMachine = ({ issuer, id, post }: Values): Snippet => ({
  title: 'Python: Authlib',
  hint: 'pip install authlib requests.',
  code: `import os
from authlib.integrations.requests_client import OAuth2Session

client = OAuth2Session(
    ${id},
    os.environ["OIDC_CLIENT_SECRET"],
    token_endpoint_auth_method="${post ? 'client_secret_post' : 'client_secret_basic'}",
)
token = client.fetch_token(
    ${issuer.slice(0, -1)}/token",
    grant_type="client_credentials",
    resource=os.environ["OIDC_RESOURCE"],
)
`,
})

const libraries: Record<Kind, ((values: Values) => Snippet)[]> = {
  browser: [browser],
  native: [node],
  server: [node, spring, aspnet, python],
  machine: [nodeMachine, spring, aspnetMachine, pythonMachine],
}
