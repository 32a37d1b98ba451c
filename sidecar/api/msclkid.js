/*
 * Keeps the click id of a Microsoft ad (the landing URL's `msclkid`) in a first-party cookie `msclkid` for 90 days.
 * Copy this file into your site and include it on every page that an ad may lead to:
 *
 *     <script src="/msclkid.js" defer></script>
 *
 * It calls nobody, reads nothing but the address, and works under `Content-Security-Policy: script-src 'self'`.
 * Where the law asks for consent to cookies, include it only once it was given.
 */
(function () {
  "use strict";

  var KEPT_SECONDS = 90 * 24 * 60 * 60; // as long as Microsoft counts a conversion of a click
  // as it stands, as a cookie holds it (_uet…), or as a UET beacon ends it (-0, -1, N)
  var CLICK_ID = /^(?:_uet)?([0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})(?:-[01]N?|[01]?N)?$/;
  var PARAMETER = /[?&]msclkid=([^&?#]+)/gi;
  var AMPERSAND = /&(?:(?:amp|#0{0,5}38|#x0{0,5}26);)+/gi; // of an address that came through HTML
  var UNSEEN = /[\u00AD\u061C\u200B-\u200F\u202A-\u202E\u2060-\u2064\uFEFF]/g;
  var LONGEST = 8192; // as the sidecar has it

  /* Decoded where it can be: a broken escape elsewhere in the address is no reason to lose the click. */
  function decoded(text) {
    return text.replace(/\+/g, " ").replace(/(?:%[0-9a-f]{2})+/gi, function (escapes) {
      try {
        return decodeURIComponent(escapes);
      } catch (error) {
        return escapes.replace(/%([0-9a-f]{2})/gi, function (_, digits) {
          var code = parseInt(digits, 16);
          return code < 128 ? String.fromCharCode(code) : "\uFFFD";
        });
      }
    });
  }

  /* The last usable `msclkid` of a text such as `?a=1&msclkid=…`, without dashes; empty when there is none. */
  function lastUsable(text) {
    var found = "";
    text.replace(PARAMETER, function (_, value) {
      var id = CLICK_ID.exec(decoded(value).replace(UNSEEN, "").trim());
      found = id ? id[1].replace(/-/g, "") : found;
    });
    return found;
  }

  /* That of the address, or else of an address inside it; what is behind # does not count. */
  function clickId(address) {
    if (address.length > LONGEST) {
      return "";
    }
    var plain = address.replace(AMPERSAND, "&").split("#")[0];
    return lastUsable(plain) || lastUsable(decoded(plain).replace(AMPERSAND, "&"));
  }

  var id = clickId(location.href);
  if (id) {
    document.cookie =
      "msclkid=" + id + "; Max-Age=" + KEPT_SECONDS + "; Path=/; SameSite=Lax" +
      (location.protocol === "https:" ? "; Secure" : "");
  }
})();
