"""For other services, and for whoever verifies tokens."""

from app.replies import Introspected, JsSdkConfig, LentToken, Metadata, PublicKeys, ServiceUser, ServiceUsers
from app.services.commands import AskToken, ChangeUser, Lookup
from core.errors import Code
from handlers.openapi.operation import FORM, OF_WECHAT, STRING, Access, Operation, Parameter, Reply, data, header, plain

WHO = {
    "X-User-Id": "the user's id",
    "X-Session-Id": "the session's id",
    "X-User-Roles": "the user's roles, separated by commas",
}

OPERATIONS = {
    "GET /api/token/verify": Operation(
        summary="Whether a request is signed in (nginx auth_request)",
        access=Access.USER,
        parameters=(
            header("X-Original-Method", "the method of the request that is checked"),
            header("X-XSRFToken", "under a cookie, where that method is unsafe"),
        ),
        replies=(Reply("It is; the headers say who.", status=204, headers=WHO),),
        raises=(Code.XSRF,),
    ),
    "POST /api/token/introspect": Operation(
        summary="What a token stands for (RFC 7662)",
        says="Access and refresh tokens; asking changes nothing.",
        access=Access.SERVICE,
        scope="introspect",
        media=(FORM,),
        raw={
            "type": "object",
            "properties": {"token": {**STRING, "minLength": 1, "description": "an access or refresh token"}},
            "required": ["token"],
        },
        example={"token": "eyJhbGciOiJFUzI1NiIs…"},
        replies=(plain(Introspected, "Without the envelope."),),
        raises=(Code.UNSUPPORTED_MEDIA_TYPE,),
    ),
    "POST /api/service/users/lookup": Operation(
        summary="Look users up",
        says="By exactly one list of 1–100: `ids`, `phones`, `openids` or `externalIds`.",
        access=Access.SERVICE,
        scope="users:read",
        body=Lookup,
        example={"phones": ["13800138002"]},
        replies=(data(ServiceUsers, "Those that exist."),),
    ),
    "PATCH /api/service/users/{id}": Operation(
        summary="Change roles, external id, or disable",
        says="One or more of the fields; the others stay as they are. `disabled` ends all sessions.",
        access=Access.SERVICE,
        scope="users:write",
        body=ChangeUser,
        example={"roles": ["beta"], "externalId": "crm-17"},
        replies=(data(ServiceUser, "The user as it is now."),),
        raises=(Code.NOT_FOUND, Code.IDENTITY_CONFLICT),
    ),
    "POST /api/wechat/{appid}/access-token": Operation(
        summary="WeChat's access_token, the central one",
        says="`stale` names a token that WeChat refused; whether it is replaced, WeChat itself decides.",
        access=Access.SERVICE,
        scope="access-token",
        body=AskToken,
        example={},
        replies=(data(LentToken, "The token, and how long it lives."),),
        raises=OF_WECHAT,
    ),
    "GET /api/wechat/{appid}/jssdk-signature": Operation(
        summary="A signature for the JS-SDK",
        says="For a page of an official account, of an origin of the settings; `url` is the page's own.",
        parameters=(Parameter("url", "query", "the address of the page, without its fragment", required=True),),
        replies=(data(JsSdkConfig, "What `wx.config` takes."),),
        raises=OF_WECHAT,
    ),
    "GET /.well-known/jwks.json": Operation(
        summary="Public keys of the access tokens (RFC 7517)",
        replies=(plain(PublicKeys, "Cacheable for 5 minutes."),),
    ),
    "GET /.well-known/oauth-authorization-server": Operation(
        summary="Where everything is (RFC 8414)",
        replies=(plain(Metadata, "Cacheable for an hour."),),
    ),
}
